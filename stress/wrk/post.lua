-- POST of a game without an id: wrk -t1 -c64 -d10s -s stress/wrk/post.lua URL
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "report.lua")

function init()
  headers = { ["Content-Type"] = "application/json" }
  body = read_body("post.json")
  -- Every request is the same but for its key, so it is made once where there are none.
  text = wrk.format("POST", "/api/overview", headers, body)
end

function request()
  if has_keys() then
    return wrk.format("POST", "/api/overview", with_key(headers), body)
  end
  return text
end
