-- wrk's side of the bench: posts the bytes of BODY_FILE with the headers of HEADERS ("name: value" lines), prints counts as JSON.
local file = assert(io.open(os.getenv('BODY_FILE'), 'rb'))
wrk.method, wrk.body = 'POST', file:read('*a')
file:close()
for name, value in os.getenv('HEADERS'):gmatch('([^:\n]+): ([^\n]+)') do wrk.headers[name] = value end

done = function(summary, latency)
  local e = summary.errors
  io.write(string.format('RESULT {"requests":%d,"us":%d,"errors":%d,"p50Us":%d,"p99Us":%d}\n', summary.requests, summary.duration,
    e.connect + e.read + e.write + e.status + e.timeout, latency:percentile(50), latency:percentile(99)))
end
