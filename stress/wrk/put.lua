-- PUT of two fields of a random game: wrk -t1 -c64 -d10s -s stress/wrk/put.lua URL -- ROWS [SEED]
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "report.lua")

function init(args)
  rows = tonumber(args[1]) or 300000
  math.randomseed((tonumber(args[2]) or 1) * 1000 + number)
  headers = { ["Content-Type"] = "application/json" }
  body = read_body("put.json")
end

function request()
  return wrk.format("PUT", "/api/overview/" .. math.random(1, rows), with_key(headers), body)
end
