-- Reads a JSON body to the letter (RFC 8259), and against the request that its call takes. The transcoder's own parser
-- takes single quotes, names without quotes, trailing commas, raw control characters, names that are given twice, fields
-- that the call does not have, and null and lists in a list, as if they were not there. What of a type it reads at a cost
-- that grows faster than the text is refused here. Every byte is looked at once, whoever sends it.
local fields = require('fields')
local json = require('json')
local byte = string.byte
local anything = fields.anything
local skip, past_string, past_scalar = json.skip, json.past_string, json.past_scalar

-- Deeper than anything the contract takes (metadata: 16 levels), and less than what the services can decode.
local max_depth = 32
local max_names = 1000 -- in one object
local max_items = 1000 -- in one list
-- What a service makes of a field that may hold anything is many times its text: metadata is at most 4096 bytes.
local max_free = 16384

local QUOTE, COMMA, COLON, SMALL_N = byte('",:n', 1, -1)
local OPEN_OBJECT, CLOSE_OBJECT, OPEN_LIST, CLOSE_LIST = byte('{}[]', 1, -1)

-- Why no value that begins with this byte can be a field's; nil where it can. Whether a scalar is of the right type the
-- transcoder says.
local function shape_fault(field, c, is_item)
  local kind = fields.kinds[field.kind]
  if c == OPEN_OBJECT and not kind.object then return 'must not be an object' end
  if c == SMALL_N and field.repeated and not is_item then return 'must be a list' end
  if not is_item then
    if c == OPEN_LIST and not (kind.list or field.repeated) then return 'must not be a list' end
  elseif c == OPEN_LIST and not kind.list or c == SMALL_N and field.kind ~= 'value' then
    -- The transcoder drops these: a list of nothing but null would pass for none, which may mean all.
    return 'must hold no lists and no null'
  end
end

local function wrong(at) return ('is not valid JSON at byte %d'):format(at) end

-- The path of the name that was read last, from the body's own fields on, where the contract knows the names.
local function path_of(names, message, depth)
  local path = {}
  for level = 1, depth do
    if message[level] and names[level] then path[#path + 1] = names[level] end
  end
  return path[1] and table.concat(path, '.')
end

-- Reads the text to its end: what is wrong with it and the field at fault, nil for the body as a whole; or nil, nil and
-- the text as the transcoder is to read it.
return function(text, call)
  local open, depth = {}, 0 -- what is open: OPEN_OBJECT or OPEN_LIST
  local message = {} -- of an object that is open, its fields; nil where it may hold anything
  local inner = {} -- of all else that is open, what its values are
  local names, counts, seen = {}, {}, {} -- of the objects that are open: the name read last, how many, which fields
  local unknown -- the first field that the call does not have: told unless the text is no JSON
  local field, is_item = { kind = 'message', message = call.message }, false -- whose value is expected
  local name_at -- where the name before it begins
  local replaced = {} -- lists that were empty, as { from, past, text }
  local free_from, free_depth -- where the field that may hold anything begins which is being read, and how deep it is

  local i, c = skip(text, 1)
  if c ~= OPEN_OBJECT then return 'must be a JSON object' end
  local expects = 'value' -- 'value', 'end or value' in a list just opened, 'name', 'end or name', 'comma or end'
  while true do
    i, c = skip(text, i)
    if free_from and i - free_from > max_free then
      return ('must be at most %d bytes'):format(max_free), path_of(names, message, free_depth)
    end
    local inside = open[depth]
    if (c == CLOSE_OBJECT and inside == OPEN_OBJECT or c == CLOSE_LIST and inside == OPEN_LIST)
      and (expects == 'comma or end' or expects == 'end or name' or expects == 'end or value') then
      depth = depth - 1
      if depth == free_depth then free_from, free_depth = nil, nil end
      i = i + 1
      if expects == 'end or value' and field.when_empty then
        local other = message[depth].by_name[field.when_empty]
        if seen[depth][other] then return 'is given beside ' .. field.name, field.when_empty end
        seen[depth][other] = true
        replaced[#replaced + 1] = { name_at, i, ('"%s":true'):format(field.when_empty) }
      end
      expects = 'comma or end'
      if depth == 0 then
        local rest, more = skip(text, i)
        if more then return wrong(rest) end
        if unknown then return unknown.fault, unknown.field end
        return nil, nil, json.with(text, replaced)
      end
    elseif expects == 'comma or end' then
      if c ~= COMMA then return wrong(i) end
      expects = inside == OPEN_OBJECT and 'name' or 'value'
      i = i + 1
      if inside == OPEN_LIST then field, is_item = inner[depth], true end
    elseif expects == 'name' or expects == 'end or name' then
      if c ~= QUOTE then return wrong(i) end
      local past, at = past_string(text, i)
      if not past then return wrong(at) end
      local held = message[depth]
      if held then names[depth] = false end
      -- Envoy's process ends where it prints a Struct with a field without a name: none must be stored.
      if past == i + 2 then return 'holds a field without a name', path_of(names, message, depth) end
      counts[depth] = counts[depth] + 1
      if counts[depth] > max_names then return 'holds more than 1000 names', path_of(names, message, depth) end
      name_at, is_item = i, false
      field = inner[depth]
      if held then
        names[depth] = text:sub(i + 1, past - 2)
        local known = json.unescaped(names[depth])
        field = held.by_name[known]
        if not field then
          field = anything
          unknown = unknown or { field = path_of(names, message, depth), fault = fields.unknown(held, known, call.path, 'field') }
        elseif seen[depth][field] then
          return 'is given twice', path_of(names, message, depth)
        else
          seen[depth][field] = true
        end
      end
      i, c = skip(text, past)
      if c ~= COLON then return wrong(i) end
      expects = 'value'
      i = i + 1
    else
      if inside == OPEN_LIST then
        counts[depth] = counts[depth] + 1
        if counts[depth] > max_items then return 'holds more than 1000 items', path_of(names, message, depth) end
      end
      local fault = field ~= anything and depth > 0 and shape_fault(field, c, is_item)
      if fault then return fault, path_of(names, message, depth) end
      if c == OPEN_OBJECT or c == OPEN_LIST then
        if depth == max_depth then return 'is nested too deeply', path_of(names, message, depth) end
        if not free_from and fields.kinds[field.kind].free then free_from, free_depth = i, depth end
        depth = depth + 1
        open[depth], message[depth], names[depth], counts[depth] = c, nil, false, 0
        if c == OPEN_LIST and field.repeated and not is_item then
          inner[depth] = field
        else
          inner[depth] = field.of or anything
          if field.kind == 'message' then message[depth], seen[depth] = field.message, {} end
        end
        expects = c == OPEN_OBJECT and 'end or name' or 'end or value'
        i = i + 1
        if c == OPEN_LIST then field, is_item = inner[depth], true end
      else
        local past, at
        if c == QUOTE then past, at = past_string(text, i) elseif c then past, at = past_scalar(text, i, c) end
        if not past then return wrong(at or i) end
        local text_fault = c == QUOTE and fields.kinds[field.kind].text
        fault = text_fault and text_fault(text:sub(i + 1, past - 2))
        if fault then return fault, path_of(names, message, depth) end
        expects = 'comma or end'
        i = past
      end
    end
  end
end
