-- Arms t/lib/fault.c, which must be preloaded.


local ffi = require("ffi")

local C = ffi.C
local concat = table.concat
local select = select
local tonumber = tonumber
local tostring = tostring


ffi.cdef [[
    void fault_arm(const char *name, unsigned kinds, long first, long count);
    long fault_disarm(void);
]]


local MEMORY = 1
local SYSTEM = 2
local KEYS = 4


local _M = {
    MEMORY = MEMORY,
    SYSTEM = SYSTEM,
    ALL = MEMORY + SYSTEM + KEYS,
}


-- What a scenario saw, as text: its values, those that are nil included.
local function outcome(...)
    local texts = {}

    for i = 1, select("#", ...) do
        texts[i] = tostring((select(i, ...)))
    end

    return concat(texts, ", ")
end


-- From now on count calls of the object fail, from the n-th on.
function _M.arm(object, kinds, n, count)
    C.fault_arm(object, kinds, n, count)
end


-- Returns how many calls the object has made that may fail.
function _M.disarm()
    return tonumber(C.fault_disarm())
end


-- Runs the scenario while count calls of the object fail, from the n-th on,
-- with the query's n and count. Returns its outcome, and how many calls it made
-- that may fail.
function _M.run(object, kinds, scenario)
    _M.arm(object, kinds, tonumber(ngx.var.arg_n), tonumber(ngx.var.arg_count))
    local result = outcome(scenario())

    return result, _M.disarm()
end


return _M
