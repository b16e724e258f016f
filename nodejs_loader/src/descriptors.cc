#include "descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>


namespace resty_ffi {
namespace descriptors {

std::string Lack(int needed) {
    struct rlimit limit;
    int found = 0;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return "";
    }

    for (rlim_t fd = 0; fd < limit.rlim_cur && found < needed; fd++) {
        found += fcntl(static_cast<int>(fd), F_GETFD) == -1;
    }

    if (found == needed) {
        return "";
    }

    return "too few descriptors: Node.js needs " + std::to_string(needed) + ", " +
           std::to_string(found) + " are free: see worker_rlimit_nofile";
}

}  // namespace descriptors
}  // namespace resty_ffi
