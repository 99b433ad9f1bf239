-- On the way in: what the transcoder would let pass. A body must be application/json (415) and JSON to the letter (400,
-- RFC 8259): its own parser takes single quotes, names without quotes, trailing commas, raw control characters, names
-- that are given twice, and null and lists in a list, as if they were not there.
-- A query must hold names with values, and no id: that would override the path's.
local rows = require('rows')
local byte = string.byte

-- Deeper than anything the contract takes (metadata: 16 levels), and less than what the services can decode.
local max_depth = 32
-- So many fields with lists are kept in mind, in case the transcoder takes offence at one.
local max_lists = 8

local escapes = {} -- what may follow a backslash
for char in ('"\\/bfnrt'):gmatch('.') do escapes[byte(char)] = true end
local literals = { [byte('t')] = 'true', [byte('f')] = 'false', [byte('n')] = 'null' } -- by their first byte
local QUOTE, BACKSLASH, COMMA, COLON, SMALL_U = byte('"\\,:u', 1, -1)
local MINUS, PLUS, POINT, ZERO, SMALL_E, LARGE_E, SMALL_N = byte('-+.0eEn', 1, -1)
local OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST = byte('{}[]', 1, -1)

-- Past the white space from `i` on; with it the byte that stands there.
local function skip(text, i)
  while true do
    local c = byte(text, i)
    if c ~= 32 and c ~= 9 and c ~= 10 and c ~= 13 then return i, c end
    i = i + 1
  end
end

-- Past the string whose quote stands at `i`, or nil and where it goes wrong.
local function past_string(text, i)
  i = i + 1
  while true do
    local c = byte(text, i)
    if c == QUOTE then return i + 1 end
    if not c or c < 32 then return nil, i end
    if c ~= BACKSLASH then
      i = i + 1
    elseif escapes[byte(text, i + 1)] then
      i = i + 2
    elseif byte(text, i + 1) == SMALL_U and text:find('^%x%x%x%x', i + 2) then
      i = i + 6
    else
      return nil, i
    end
  end
end

-- Past the digits that begin at `i`, or nil where none stands there.
local function past_digits(text, i)
  local first, c = i, byte(text, i)
  while c and c >= 48 and c <= 57 do
    i = i + 1
    c = byte(text, i)
  end
  if i > first then return i, c end
end

-- Past the number or literal that begins at `i`, or nil and where it goes wrong. Byte by byte: a pattern would do in
-- one line, but LuaJIT does not compile those, and a body may hold half a million numbers.
local function past_scalar(text, i, c)
  local word = literals[c]
  if word then
    if text:sub(i, i + #word - 1) == word then return i + #word end
    return nil, i
  end
  local first = c == MINUS and i + 1 or i
  local past
  past, c = past_digits(text, first)
  if not past or past > first + 1 and byte(text, first) == ZERO then return nil, i end
  if c == POINT then
    past, c = past_digits(text, past + 1)
    if not past then return nil, i end
  end
  if c == SMALL_E or c == LARGE_E then
    local sign = byte(text, past + 1)
    past = past_digits(text, (sign == PLUS or sign == MINUS) and past + 2 or past + 1)
    if not past then return nil, i end
  end
  return past
end

-- A field's name as the transcoder reads it: without escapes, "local_port" and "localPort" being one.
local function plain(name)
  if not name:find('[\\_]') then return name end
  name = name:gsub('\\u00(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end)
  return (name:gsub('_(%l)', string.upper))
end

-- Reads the text to its end. nil and the names of the fields that hold lists where it is a JSON object;
-- otherwise what is wrong with it.
local function body_fault(text)
  local stack, depth = {}, 0 -- what is open: OPEN_OBJECT or OPEN_LIST
  local lists, name = {}, '' -- of the body's own fields
  local seen = {}
  local i, c = skip(text, 1)
  if c ~= OPEN_OBJECT then return 'must be a JSON object' end

  local function wrong(at) return ('is not valid JSON at byte %d'):format(at) end
  local expects = 'value' -- 'value', 'end or value' in a list just opened, 'name', 'end or name', 'comma or end'
  while true do
    i, c = skip(text, i)
    local inside = stack[depth]
    if (c == CLOSE_OBJECT and inside == OPEN_OBJECT or c == CLOSE_LIST and inside == OPEN_LIST)
      and (expects == 'comma or end' or expects == 'end or name' or expects == 'end or value') then
      depth = depth - 1
      expects = 'comma or end'
      i = i + 1
      if depth == 0 then
        local rest, more = skip(text, i)
        if more then return wrong(rest) end
        return nil, lists
      end
    elseif expects == 'comma or end' then
      if c ~= COMMA then return wrong(i) end
      expects = inside == OPEN_OBJECT and 'name' or 'value'
      i = i + 1
    elseif expects == 'name' or expects == 'end or name' then
      if c ~= QUOTE then return wrong(i) end
      local past, at = past_string(text, i)
      -- Envoy's process ends where it prints a Struct with a field without a name: none must be stored.
      if past == i + 2 then return 'holds a field without a name', nil, depth > 1 and name or nil end
      if not past then return wrong(at) end
      if depth == 1 then
        name = text:sub(i + 1, past - 2)
        local known = plain(name)
        if seen[known] then return 'is given twice', nil, name end
        seen[known] = true
      end
      i, c = skip(text, past)
      if c ~= COLON then return wrong(i) end
      expects = 'value'
      i = i + 1
    elseif depth == 2 and inside == OPEN_LIST and (c == OPEN_LIST or c == SMALL_N) then
      -- The transcoder drops these: a list of nothing but null would pass for none, which may mean all.
      return 'must hold no lists and no null', nil, name
    elseif c == OPEN_OBJECT or c == OPEN_LIST then
      if depth == max_depth then return 'is nested too deeply', nil, name end
      if depth == 1 and c == OPEN_LIST and #lists < max_lists then lists[#lists + 1] = name end
      depth = depth + 1
      stack[depth] = c
      expects = c == OPEN_OBJECT and 'end or name' or 'end or value'
      i = i + 1
    else
      local past, at
      if c == QUOTE then past, at = past_string(text, i) elseif c then past, at = past_scalar(text, i, c) end
      if not past then return wrong(at or i) end
      expects = 'comma or end'
      i = past
    end
  end
end

-- The first parameter that is not acceptable and what is wrong with it. The transcoder decodes names, so we do.
local function query_fault(query)
  for parameter in query:gmatch('[^&]+') do
    local name = parameter:match('^([^=]*)=')
    if not name then return parameter, 'must have a value' end
    if name == '' then return 'query', 'holds a value without a name' end
    local decoded = name:gsub('%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end)
    if decoded == 'id' then return 'id', 'belongs in the path' end
  end
end

local function refuse(handle, field, message)
  handle:respond({ [':status'] = '400' }, rows.field_json(field, message))
end

function envoy_on_request(handle)
  local headers = handle:headers()
  local query = headers:get(':path'):match('%?(.*)')
  local parameter, parameter_fault = query_fault(query or '')
  if parameter then return refuse(handle, parameter, parameter_fault) end

  -- A GET changes nothing: where a replica breaks off, another is asked. All else is tried again only as long as it
  -- has not reached one (routes.yaml).
  if headers:get(':method') == 'GET' then headers:replace('x-envoy-retry-on', 'reset') end

  if headers:get('content-length') == '0' then return end
  local body = handle:body() -- waits for it; what was taken from the handle before is no longer valid then
  if not body or body:length() == 0 then return end

  local media_type = (handle:headers():get('content-type') or ''):match('^%s*([^;%s]*)'):lower()
  if media_type ~= 'application/json' then return handle:respond({ [':status'] = '415' }, '') end

  local problem, lists, field = body_fault(body:getBytes(0, body:length()))
  if problem then return refuse(handle, field or 'body', problem) end

  -- The transcoder does not say which field holds a list where none may be: errors.lua looks here.
  if #lists > 0 then handle:streamInfo():dynamicMetadata():set('request', 'lists', table.concat(lists, ', ')) end
end
