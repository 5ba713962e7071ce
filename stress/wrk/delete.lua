-- DELETE of rows that exist, each once:
--   wrk -t1 -c64 -d10s -s stress/wrk/delete.lua URL -- FIRST LAST [THREADS]
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "sequential.lua")

function request()
  return next_request("DELETE", "/api/overview/")
end
