-- GET of a random game: wrk -t1 -c64 -d10s -s stress/wrk/get.lua URL -- ROWS [SEED]
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "report.lua")

function init(args)
  rows = tonumber(args[1]) or 300000
  math.randomseed((tonumber(args[2]) or 1) * 1000 + number)
end

function request()
  return wrk.format("GET", "/api/overview/" .. math.random(1, rows))
end
