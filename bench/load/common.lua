-- What all scripts share: a node for each thread, numbered ids, a summary as one line of JSON.
local nodes, threads = {}, {}
for host, port in os.getenv("BENCH_NODES"):gmatch("([^:,]+):(%d+)") do
  nodes[#nodes + 1] = {host, port}
end

function setup(thread)
  threads[#threads + 1] = thread
  local node = nodes[(#threads - 1) % #nodes + 1]
  thread.addr = wrk.lookup(node[1], node[2])[1]
  thread:set("number", #threads)
end

sent = 0
local prefix = os.getenv("BENCH_PREFIX")

-- The next id of this thread: one length, whatever the number.
function next_id()
  local id = string.format("%s%d-%0" .. (20 - 2 - #prefix) .. "d", prefix, number, sent)
  sent = sent + 1
  return id
end

-- wrk asks its first thread for one request that it never sends: its numbers are used again.
local rehearsed = false
function rehearse()
  if number == 1 and not rehearsed then sent = 0 end
  rehearsed = true
end

-- The lines of a file.
function lines_of(path)
  local lines = {}
  for line in io.lines(path) do lines[#lines + 1] = line end
  return lines
end

function done(summary, latency, requests)
  local total = 0
  for _, thread in ipairs(threads) do total = total + thread:get("sent") end
  local errors = summary.errors
  local bad = errors.connect + errors.read + errors.write + errors.status + errors.timeout
  io.write(string.format(
    '\n{"requests":%d,"sent":%d,"bad":%d,"seconds":%.6f,"p50_ms":%.3f,"p99_ms":%.3f,"bytes":%d}\n',
    summary.requests, total, bad, summary.duration / 1e6,
    latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, summary.bytes))
end
