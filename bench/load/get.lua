-- GET of memories that are there: each line of the file is a whole request without its line ends.
dofile(os.getenv("BENCH_LUA") .. "/common.lua")
local requests = lines_of(os.getenv("BENCH_REQUESTS"))
for i, line in ipairs(requests) do
  requests[i] = line:gsub("|", "\r\n") .. "\r\nHost: 127.0.0.1\r\n\r\n"
end
local count, at = #requests, 0

function init()
  at = number * 7919
end

function request()
  at = at + 1
  sent = sent + 1
  return requests[at % count + 1]
end
