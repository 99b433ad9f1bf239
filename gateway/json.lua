-- The smallest parts of a JSON text (RFC 8259): where each ends. Every byte is looked at once.
local byte = string.byte

local json = {}

local escapes = {} -- what may follow a backslash
for char in ('"\\/bfnrt'):gmatch('.') do escapes[byte(char)] = true end
local literals = { [byte('t')] = 'true', [byte('f')] = 'false', [byte('n')] = 'null' } -- by their first byte
local QUOTE, BACKSLASH, SMALL_U = byte('"\\u', 1, -1)
local MINUS, PLUS, POINT, ZERO, SMALL_E, LARGE_E = byte('-+.0eE', 1, -1)

-- Past the white space from `i` on; with it the byte that stands there.
function json.skip(text, i)
  while true do
    local c = byte(text, i)
    if c ~= 32 and c ~= 9 and c ~= 10 and c ~= 13 then return i, c end
    i = i + 1
  end
end

-- Past the string whose quote stands at `i`, or nil and where it goes wrong.
function json.past_string(text, i)
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
function json.past_scalar(text, i, c)
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

-- A name without its escapes, as far as names of fields go.
function json.unescaped(name)
  if not name:find('\\', 1, true) then return name end
  return (name:gsub('\\u00(%x%x)', function(hex) return string.char(tonumber(hex, 16)) end))
end

-- The text with other parts in place of some: { from, past, text } each, in order.
function json.with(text, replaced)
  if #replaced == 0 then return text end
  local parts, at = {}, 1
  for _, part in ipairs(replaced) do
    parts[#parts + 1] = text:sub(at, part[1] - 1)
    parts[#parts + 1] = part[3]
    at = part[2]
  end
  return table.concat(parts) .. text:sub(at)
end

return json
