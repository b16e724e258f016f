-- The Lua half of the harness: brings Lua values, whole and binary-safe, to
-- the tests.


local ngx = ngx
local byte = string.byte
local concat = table.concat
local select = select
local type = type
local tostring = tostring


local _M = {}


local encode


-- A string of bytes becomes a string of the code points 0 to 255.
local function encode_string(s)
    return '"' .. s:gsub('[%c"\\\128-\255]', function(c)
        return ("\\u%04x"):format(byte(c))
    end) .. '"'
end


local function encode_table(t)
    local items = {}

    if #t > 0 or next(t) == nil then
        for i = 1, #t do
            items[i] = encode(t[i])
        end
        return "[" .. concat(items, ",") .. "]"
    end

    for k, v in pairs(t) do
        items[#items + 1] = encode_string(tostring(k)) .. ":" .. encode(v)
    end
    return "{" .. concat(items, ",") .. "}"
end


function encode(v)
    local kind = type(v)

    if kind == "nil" then
        return "null"
    elseif kind == "boolean" then
        return tostring(v)
    elseif kind == "number" then
        return ("%.17g"):format(v)
    elseif kind == "string" then
        return encode_string(v)
    elseif kind == "table" and not getmetatable(v) then
        return encode_table(v)
    end

    return encode_string("<" .. kind .. ">")
end


-- Without the nils at the end: hardly any Lua can tell them from nothing.
local function encode_values(...)
    local items = {}
    local n = select("#", ...)

    while n > 0 and select(n, ...) == nil do
        n = n - 1
    end

    for i = 1, n do
        items[i] = encode((select(i, ...)))
    end

    return "[" .. concat(items, ",") .. "]"
end


-- Answers the request with the values that body() returns.
function _M.answer(body)
    ngx.header["Content-Type"] = "application/json"
    ngx.print(encode_values(body()))
end


-- Keeps values for the test: for phases and timers that cannot answer.
function _M.keep(name, ...)
    ngx.shared.kept:set(name, encode_values(...))
end


-- Answers the request /kept/<name>: 404 when nothing was kept.
function _M.answer_kept()
    local values = ngx.shared.kept:get(ngx.var.uri:sub(#"/kept/" + 1))

    if not values then
        return ngx.exit(ngx.HTTP_NOT_FOUND)
    end

    ngx.print(values)
end


return _M
