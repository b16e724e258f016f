/* The one way to the contract, with what C++ makes shorter. */

#ifndef CONTRACT_H_INCLUDED
#define CONTRACT_H_INCLUDED


#include <ngx_http_lua_ffi.h>

#include <string_view>


namespace resty_ffi {

/* Any thread.  tq may be NULL: no name in front. */
inline void Log(void *tq, int level, std::string_view text) {
    ngx_http_lua_ffi_log(tq, level, text.data(), text.size());
}

}  // namespace resty_ffi


#endif /* CONTRACT_H_INCLUDED */
