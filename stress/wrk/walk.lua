-- What scripts share that walk over ids, each once. Arguments behind the script's: FIRST LAST
-- [THREADS]. Each thread walks its own share and stops at its end; the JSON line says how far they
-- came (last_id), so that a next run can begin behind it.
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "report.lua")

function init(args)
  local first, last = tonumber(args[1]), tonumber(args[2])
  local share = math.floor((last - first + 1) / (tonumber(args[3]) or 1))
  next_id = first + number * share
  last_of_share = next_id + share - 1
  last_id = next_id
end

-- The request for the next id.
function walk(method, path)
  local id = next_id
  if id > last_of_share then
    wrk.thread:stop()
    -- wrk insists on a request; nothing is read of its answer any more.
    id = 2147483647
  else
    last_id = id
    next_id = id + 1
  end
  return wrk.format(method, path .. id)
end
