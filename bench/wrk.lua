-- One request again and again, or one for each bearer token in turn; the outcome as one line of JSON.
-- wrk has no options for method and body, so they come by the environment.

local requests, next_one = {}, 0

function init(_)
  wrk.method = os.getenv("BENCH_METHOD")
  wrk.body = os.getenv("BENCH_BODY")
  for bearer in (os.getenv("BENCH_BEARERS") or ""):gmatch("%S+") do
    wrk.headers["Authorization"] = "Bearer " .. bearer
    requests[#requests + 1] = wrk.format()
  end
  if #requests == 0 then
    requests[1] = wrk.format()
  end
end

function request()
  next_one = next_one % #requests + 1
  return requests[next_one]
end

function done(summary, latency, _)
  local errors = summary.errors
  io.write(string.format(
    '{"requests":%d,"elapsed_s":%.6f,"p50_ms":%.4f,"p99_ms":%.4f,'
      .. '"errors":{"connects":%d,"reads":%d,"writes":%d,"status above 399":%d,"timeouts":%d}}\n',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    errors.connect, errors.read, errors.write, errors.status, errors.timeout
  ))
end
