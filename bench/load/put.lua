-- PUT of one new memory a request.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")
local before, after = os.getenv("BENCH_BEFORE_ID"), os.getenv("BENCH_AFTER_ID")
local head = "PUT " .. os.getenv("BENCH_PATH") .. "/"
local rest = " HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
  .. (#before + 20 + #after) .. "\r\n\r\n" .. before

function request()
  local id = next_id()
  rehearse()
  return head .. id .. rest .. id .. after
end
