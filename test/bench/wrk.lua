-- What wrk sends and tells: an argument is the size of a body to post. The result is one line of JSON.
function init(args)
  local authorization = os.getenv("BENCH_AUTHORIZATION") or ""
  if authorization ~= "" then wrk.headers["Authorization"] = authorization end
  if args[1] then
    wrk.method = "POST"
    wrk.body = string.rep("x", tonumber(args[1]))
  end
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"microseconds":%d,"bytes":%d,"p50Us":%d,"p99Us":%d,"errors":%d}\n',
    summary.requests, summary.duration, summary.bytes, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
