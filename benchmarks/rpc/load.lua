-- For wrk: no two requests ask for the same product, or equal reads would share a call. Prints its figures as JSON.
local n = 0

request = function()
   n = n + 1
   return wrk.format("GET", "/products/" .. n)
end

done = function(summary, latency)
   local errors = summary.errors
   io.write(string.format(
      '\n{"requests": %d, "microseconds": %d, "p50_us": %d, "p99_us": %d, "failed": %d}\n',
      summary.requests, summary.duration, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
