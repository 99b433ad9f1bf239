-- On the way in: what the transcoder would let pass. A request must be one that the contract knows (404), its query and
-- its body must hold what the call takes (400), and a body must be application/json (415).
local body_of = require('body')
local fields = require('fields')
local query_fault = require('query')
local rows = require('rows')

local function refuse(handle, field, message)
  handle:respond({ [':status'] = '400' }, rows.field_json(field, message))
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local path, query = headers:get(':path'):match('^([^?]*)%??(.*)$')
  local method = headers:get(':method')
  local call = fields.call(method, path)
  if not call then return handle:respond({ [':status'] = '404' }, '') end

  local parameter, parameter_fault = query_fault(query, call)
  if parameter then return refuse(handle, parameter, parameter_fault) end

  -- A GET changes nothing: where a replica breaks off, another is asked. All else is tried again only as long as it
  -- has not reached one (routes.yaml).
  if method == 'GET' then headers:replace('x-envoy-retry-on', 'reset') end

  if headers:get('content-length') == '0' then return end
  local body = handle:body() -- waits for it; what was taken from the handle before is no longer valid then
  if not body or body:length() == 0 then return end

  local media_type = (handle:headers():get('content-type') or ''):match('^%s*([^;%s]*)'):lower()
  if media_type ~= 'application/json' then return handle:respond({ [':status'] = '415' }, '') end

  local text = body:getBytes(0, body:length())
  local fault, field, meant = body_of(text, call)
  if fault then return refuse(handle, field or 'body', fault) end
  if meant ~= text then body:setBytes(meant) end
end
