-- Checkout of orders that are not paid, each once:
--   wrk -t1 -c64 -d10s -s stress/wrk/checkout.lua URL -- FIRST LAST [THREADS]
dofile((debug.getinfo(1, "S").source:match("^@(.*/)") or "./") .. "sequential.lua")

function request()
  return next_request("POST", "/orders/checkout/")
end
