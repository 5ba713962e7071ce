-- POST of a game without an id: wrk -t1 -c64 -d10s -s stress/wrk/post.lua URL
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "report.lua")

function init()
  local headers = { ["Content-Type"] = "application/json" }
  -- Every request is the same, so it is made once.
  text = wrk.format("POST", "/api/overview", headers, read_body("post.json"))
end

function request()
  return text
end
