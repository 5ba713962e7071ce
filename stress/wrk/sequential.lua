-- Shared by the scripts that use ids in ascending order, each once. Arguments behind the script's:
-- FIRST LAST [THREADS]. Each thread uses its own part of the range and stops at its end; the JSON line
-- has the last id that was used (last_id), so that the next run can begin behind it.
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "report.lua")

function init(args)
  local first, last = tonumber(args[1]), tonumber(args[2])
  local share = math.floor((last - first + 1) / (tonumber(args[3]) or 1))
  next_id = first + number * share
  last_of_share = next_id + share - 1
  last_id = next_id
end

-- The request for the next id.
function next_request(method, path)
  local id = next_id
  if id > last_of_share then
    wrk.thread:stop()
    -- wrk requires a request; its answer is not read any more.
    id = 2147483647
  else
    last_id = id
    next_id = id + 1
  end
  return wrk.format(method, path .. id, with_key({}))
end
