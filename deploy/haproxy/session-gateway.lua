-- Asks the session gateway whether a request may pass: `http-request lua.session-gateway URL`. A yes sets the identity
-- headers of the gateway on the request; everything else is answered at once. Needs HAProxy 2.6 and nothing else.

-- Milliseconds; the gateway itself answers 503 after 150.
local TIMEOUT = 1000

-- What the gateway reads of a client's request.
local ASKED_WITH = {
    "authorization", "cookie", "x-session-token", "accept", "sec-fetch-mode", "x-requested-with",
}

-- What a client is told of a refusal.
local TOLD = { "www-authenticate", "x-auth-reason", "location", "retry-after", "cache-control" }

-- Lists of HAProxy count from 0, those of Lua from 1.
local function all(values)
    local list = {}
    for i = 0, #values do
        if values[i] ~= nil then
            table.insert(list, values[i])
        end
    end
    return list
end

local function question(txn)
    local received = txn.http:req_get_headers()
    local headers = {}
    for _, name in ipairs(ASKED_WITH) do
        if received[name] then
            headers[name] = all(received[name])
        end
    end
    headers["x-forwarded-method"] = { txn.sf:method() }
    headers["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" }
    headers["x-forwarded-host"] = { txn.sf:req_hdr("host") }
    headers["x-forwarded-uri"] = { txn.sf:pathq() }
    headers["x-forwarded-for"] = { txn.sf:src() }
    -- The service that HAProxy is, unless its address is trusted:
    -- headers["x-service-id"] = { "edge" }
    -- headers["x-service-secret"] = { "sgs_…" }
    return headers
end

local function refuse(txn, status, headers)
    txn:done(txn:reply { status = status, headers = headers })
end

core.register_action("session-gateway", { "http-req" }, function(txn, url)
    local answer = core.httpclient():get { url = url, headers = question(txn), timeout = TIMEOUT }
    local status = answer and answer.status or 0
    if status == 200 then
        for name, values in pairs(answer.headers) do
            if name:sub(1, 7) == "x-auth-" then
                txn.http:req_set_header(name, all(values)[1] or "")
            end
        end
    elseif status == 401 or status == 403 or status == 302 then
        local headers = {}
        for _, name in ipairs(TOLD) do
            if answer.headers[name] then
                headers[name] = all(answer.headers[name])
            end
        end
        refuse(txn, status, headers)
    else
        -- It is not known whether the user is logged in.
        refuse(txn, 503, { ["retry-after"] = { "1" }, ["cache-control"] = { "no-store" } })
    end
end, 1)
