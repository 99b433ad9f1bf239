-- What the contract says of the fields of each request (contract.lua, made from the descriptor set), and the checks that
-- a value of some types must pass before the transcoder reads it.
local contract = require('contract')

local fields = {}

-- The transcoder expands a mask to a size that grows with its square ("a(a(a(…"): nothing that it could expand passes.
local max_mask = 1024
-- A time and a duration are never longer than this.
local max_time = 64

local function mask_fault(text)
  if #text > max_mask then return 'must be at most 1024 bytes' end
  if not text:find('^[%w_.,*]*$') then return 'must be field names with commas between them' end
end

local function at_most_a_time(message)
  return function(text)
    if #text > max_time then return message end
  end
end

-- By type: whether an object or a list may stand for it, what is wrong with a string that does, and whether it may hold
-- anything.
fields.kinds = {
  scalar = {},
  mask = { text = mask_fault },
  time = { text = at_most_a_time('must be a time as in RFC 3339') },
  duration = { text = at_most_a_time('must be a number of seconds, as "1.5s"') },
  struct = { object = true, free = true },
  list = { list = true, free = true },
  value = { object = true, list = true, free = true },
  map = { object = true },
  message = { object = true },
}

-- What a Struct holds, a Value and a ListValue.
fields.anything = { kind = 'value' }

local messages = {} -- by full name; a message has its fields by either spelling of their names, and in order
for name, described in pairs(contract.messages) do
  local by_name = {}
  for _, field in ipairs(described) do
    by_name[field.name] = field
    by_name[field.json] = field
  end
  messages[name] = { by_name = by_name, in_order = described }
end

for _, message in pairs(messages) do
  for _, field in ipairs(message.in_order) do
    for _, each in ipairs({ field, field.of }) do
      if each.kind == 'message' then each.message = messages[each.message] end
    end
  end
end

-- The call at a method and a path without its query; nil where there is none. Where a segment is both a word of the
-- contract and could be an id, the word is tried first, as the transcoder does.
-- https://github.com/grpc-ecosystem/grpc-httpjson-transcoding/blob/master/src/path_matcher_node.cc
local function call_below(node, method, path, from)
  if from > #path then return node.calls[method] end
  local slash = path:find('/', from + 1, true) or #path + 1
  local word = node.literal[path:sub(from + 1, slash - 1)]
  return word and call_below(word, method, path, slash)
    or node.variable and slash > from + 1 and call_below(node.variable, method, path, slash)
    or nil
end

function fields.call(method, path)
  local call = call_below(contract.paths, method, path:gsub('/$', ''), 1)
  return call and { message = messages[call.message], path = call.path, body = call.body }
end

-- How many letters must be changed, added, removed or swapped with their neighbours to make one word of another
-- (optimal string alignment).
local function distance(one, other)
  local last, before = {}, nil
  for j = 0, #other do last[j] = j end
  for i = 1, #one do
    local row = { [0] = i }
    for j = 1, #other do
      local a, b = one:byte(i), other:byte(j)
      row[j] = math.min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (a == b and 0 or 1))
      if before and a == other:byte(j - 1) and b == one:byte(i - 1) then row[j] = math.min(row[j], before[j - 2] + 1) end
    end
    last, before = row, last
  end
  return last[#other]
end

local function has(list, wanted)
  for _, item in ipairs(list) do
    if item == wanted then return true end
  end
  return false
end

-- A longer name is no slip of the pen: it is compared with nothing, so the work is bounded.
local max_name = 40

-- The field that the name may have been meant for: it differs in a third of its letters at most, or one holds the other.
local function nearest(name, known)
  if #name > max_name then return nil end
  local found, least
  local letters = name:gsub('_', ''):lower()
  for _, each in ipairs(known) do
    local theirs = each:gsub('_', '')
    local apart = distance(letters, theirs)
    local holds = #letters > 3 and (theirs:find(letters, 1, true) or letters:find(theirs, 1, true))
    if (apart * 3 <= math.max(#letters, 3) or holds) and (not least or apart < least) then found, least = each, apart end
  end
  return found
end

-- Says that a message has no such field, and which it has; those that stand in the path are none to give.
function fields.unknown(message, name, path, what)
  local known = {}
  for _, field in ipairs(message.in_order) do
    if not has(path, field.name) then known[#known + 1] = field.name end
  end
  local near = nearest(name, known)
  if near then return ('is not a %s of this call; did you mean %s?'):format(what, near) end
  if #known == 0 then return ('is not a %s of this call, which has none'):format(what) end
  return ('is not a %s of this call, which has %s'):format(what, table.concat(known, ', '))
end

return fields
