-- Shared by every script here: a JSON line at the end, in the format of the other load clients.
-- Loaded by each script with dofile; wrk calls the global functions below.

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"

-- Text of a file beside the scripts.
function read_body(name)
  local file = assert(io.open(here .. "../bodies/" .. name, "r"))
  local text = file:read("*a")
  file:close()
  return text
end

-- Headers of a write. With STRESS_KEY_HEADER each request has another value in that header, beginning
-- with STRESS_KEY_PREFIX, which must differ from run to run.
local key_header, key_prefix = os.getenv("STRESS_KEY_HEADER"), os.getenv("STRESS_KEY_PREFIX") or ""
local keys = 0

function with_key(headers)
  if key_header then
    keys = keys + 1
    headers[key_header] = key_prefix .. "-" .. number .. "-" .. keys
  end
  return headers
end

-- Whether each request must be made by itself.
function has_keys()
  return key_header ~= nil
end

threads = {}

-- Each thread learns its number, from 0, before its own init runs.
function setup(thread)
  thread:set("number", #threads)
  table.insert(threads, thread)
end

local function ms(microseconds)
  return microseconds / 1000
end

function done(summary, latency, requests)
  local errors = summary.errors
  local broken = errors.connect + errors.read + errors.write + errors.timeout
  local seconds = summary.duration / 1e6
  local last_id = 0
  for _, thread in ipairs(threads) do
    last_id = math.max(last_id, thread:get("last_id") or 0)
  end
  io.write(string.format(
    '{"client":"wrk","seconds":%.3f,"achieved":%.1f,"ok":%d,"sent":%d,"dropped":0,'
    .. '"errors":{"status":%d,"broken":%d},"last_id":%d,'
    .. '"mean_ms":%.3f,"p50_ms":%.3f,"p95_ms":%.3f,"p99_ms":%.3f,"p999_ms":%.3f,'
    .. '"max_ms":%.3f}\n',
    seconds, (summary.requests - errors.status) / seconds, summary.requests - errors.status,
    summary.requests, errors.status, broken, last_id,
    ms(latency.mean), ms(latency:percentile(50)), ms(latency:percentile(95)),
    ms(latency:percentile(99)), ms(latency:percentile(99.9)), ms(latency.max)))
end
