-- A local server may answer a handshake (WebSocket) with 2xx or 3xx as any other request. Envoy passes nothing but 101, 4xx
-- and 5xx from upstream: the relay says 502, and here is what was meant.
function envoy_on_response(handle)
  local headers = handle:headers()
  local meant = headers:get('x-instatunnel-status')
  if not meant then return end
  headers:remove('x-instatunnel-status')
  -- Over HTTP/2 every 2xx would open the WebSocket (RFC 8441, section 5).
  if meant:find('^2') and handle:streamInfo():protocol() ~= 'HTTP/1.1' then return end
  headers:replace(':status', meant)
end
