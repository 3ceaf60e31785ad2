-- Walks over all routes of the route-count scenario; the count is filled in by bench/scenarios.py.
local count, next = $count, 0

function request()
  next = next % count + 1
  return wrk.format("GET", "/api/v1/domain-" .. next .. "/things/4711")
end
