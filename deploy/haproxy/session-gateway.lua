-- Asks the session gateway whether a request may pass: `http-request lua.session-gateway URL`. A yes sets the identity
-- headers of the gateway on the request; everything else is answered at once. Needs HAProxy 2.6 and nothing else.

-- Milliseconds; the gateway itself answers 503 after 150.
local TIMEOUT = 1000

-- The name of the cookie, SGW_TOKEN_COOKIE. Of all cookies the gateway gets only these, so that no others can be too much
-- for it.
local COOKIE = "sid"

-- What else the gateway reads of a client's request; the rest stays here.
local ASKED_WITH = {
    "authorization", "x-session-token", "accept", "sec-fetch-mode", "x-requested-with", "origin",
    "access-control-request-method",
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

local function session_cookies(lines)
    local found = {}
    for pair in table.concat(lines, ";"):gmatch("[^;]+") do
        if pair:match("^%s*([^=]*)=") == COOKIE then
            table.insert(found, pair)
        end
    end
    return table.concat(found, ";")
end

local function question(txn)
    local received = txn.http:req_get_headers()
    local headers = {}
    for _, name in ipairs(ASKED_WITH) do
        if received[name] then
            headers[name] = all(received[name])
        end
    end
    if received["cookie"] then
        headers["cookie"] = { session_cookies(all(received["cookie"])) }
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
