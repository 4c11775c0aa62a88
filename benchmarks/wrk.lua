-- For wrk: asks for the path as it is, or, given a number n, for its last part counted from 1 to n and again.
-- Prints its figures as one line of JSON.
local most, n, path = nil, 0, ""

init = function(args)
   most = tonumber(args[1])
   path = wrk.path
end

request = function()
   if most == nil then return wrk.format("GET", path) end
   n = n % most + 1
   return wrk.format("GET", path .. n)
end

done = function(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "p50_us": %d, "p99_us": %d, "failed": %d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
