-- POST of a batch of new memories.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")
local before, after = os.getenv("BENCH_BEFORE_ID"), os.getenv("BENCH_AFTER_ID")
local size = tonumber(os.getenv("BENCH_ITEMS"))
local head = "POST " .. os.getenv("BENCH_PATH")
  .. ":batch HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
local item = '{"op":"put","id":"'
local body = '","body":' .. before

function request()
  local parts = {}
  for i = 1, size do
    local id = next_id()
    parts[i] = item .. id .. body .. id .. after .. "}"
  end
  rehearse()
  local json = '{"operations":[' .. table.concat(parts, ",") .. "]}"
  return head .. #json .. "\r\n\r\n" .. json
end
