-- The path as the access log shows it: people put credentials where ids belong. A segment is shown when it is a word as
-- the contract's own are, or an id of ours; anything else is "***", and so is all that follows the eighth.
local most_segments = 8
local longest_word = 32

local kinds = { user = true, ses = true, key = true, tun = true }

local function may_be_shown(segment)
  if segment == '' or segment == 'v1' then return true end
  if #segment <= longest_word and segment:find('^[%l-]+$') then return true end
  local kind, tail = segment:match('^(%l+)_([%da-hjkmnp-tv-z]+)$') -- services/kit/src/id.ts
  return kinds[kind] and #tail == 26
end

return function(path)
  if path:byte(1) ~= 47 then return '***' end -- "*", or what CONNECT asks for
  local shown = ''
  local from, query = 2, path:find('?', 1, true)
  local past = query or #path + 1
  for _ = 1, most_segments do
    local slash = path:find('/', from, true)
    local to = slash and slash < past and slash or past
    shown = shown .. '/' .. (may_be_shown(path:sub(from, to - 1)) and path:sub(from, to - 1) or '***')
    if to == past then return shown end
    from = to + 1
  end
  return shown .. '/***'
end
