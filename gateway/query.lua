-- Reads a query against the request that a call takes: a name has a value, is given once, and is no part of the path;
-- a mask holds field names and nothing else. Of a call with a body nothing but a mask is taken: passwords and keys have no
-- place in a URL, and a form of another site would send them without asking. Names are decoded, as the transcoder does.
local fields = require('fields')

local max_parameters = 100

local function decoded(text)
  return (text:gsub('%%(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
end

-- What is wrong with a parameter by this name, with the name that the answer tells.
local function parameter_fault(call, name, value, seen)
  local plain = decoded(name)
  local first, rest = plain:match('^([^.]*)%.?(.*)$')
  local field = call.message.by_name[first]
  if not field then return name, fields.unknown(call.message, first, call.path, 'parameter') end
  for _, in_path in ipairs(call.path) do
    if field.name == in_path then return field.name, 'belongs in the path' end
  end

  local kind = fields.kinds[field.kind]
  if kind.object or kind.list or call.body and field.kind ~= 'mask' then return field.name, 'belongs in the body' end
  local is_path_of_mask = field.kind == 'mask' and rest == 'paths'
  if first ~= plain and not is_path_of_mask then return field.name, 'has no fields of its own' end

  local before = seen[field]
  if before and not field.repeated and not is_path_of_mask then return field.name, 'is given twice' end
  -- The paths of a mask that are given one by one are one mask.
  seen[field] = before and before .. ',' .. decoded(value) or decoded(value)
  local fault = kind.text and kind.text(is_path_of_mask and seen[field] or decoded(value))
  if fault then return field.name, fault end
end

-- The first parameter that is not acceptable, and what is wrong with it.
return function(query, call)
  local seen, count = {}, 0
  for parameter in query:gmatch('[^&]+') do
    count = count + 1
    if count > max_parameters then return 'query', 'holds more than 100 parameters' end
    local name, value = parameter:match('^([^=]*)=(.*)$')
    if not name then return parameter, 'must have a value' end
    if name == '' then return 'query', 'holds a value without a name' end
    local field, fault = parameter_fault(call, name, value, seen)
    if field then return field, fault end
  end
end
