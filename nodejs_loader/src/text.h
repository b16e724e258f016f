/* Texts where memory may be what is missing. */

#ifndef TEXT_H_INCLUDED
#define TEXT_H_INCLUDED


#include <cstdarg>
#include <cstdio>
#include <new>
#include <string>
#include <string_view>


namespace resty_ffi {

/* Short enough for a std::string to need no memory for it. */
constexpr char kNoMemory[] = "out of memory";

/* Without memory it becomes the text above. */
inline void Assign(std::string *to, std::string_view text) noexcept {
    try {
        *to = text;
    } catch (const std::bad_alloc &) {
        *to = kNoMemory;
    }
}


/* One that needs none; a longer one is cut. */
class Text {
 public:
    __attribute__((format(printf, 2, 3)))
    explicit Text(const char *format, ...) {
        va_list args;

        va_start(args, format);
        (void) vsnprintf(bytes_, sizeof(bytes_), format, args);
        va_end(args);
    }

    operator std::string_view() const { return bytes_; }

 private:
    char bytes_[4096];
};

}  // namespace resty_ffi


#endif /* TEXT_H_INCLUDED */
