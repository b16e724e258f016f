/*
 * What libFuzzer made up, read from its front.  Beyond its end everything is
 * zero.
 */

#ifndef INPUT_H_INCLUDED
#define INPUT_H_INCLUDED


#include <stddef.h>
#include <stdint.h>
#include <string.h>


typedef struct {
    const uint8_t  *data;
    size_t          left;
} input_t;


/* libFuzzer's: once for each input. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);


static inline uint8_t
input_byte(input_t *input)
{
    if (input->left == 0) {
        return 0;
    }

    input->left--;

    return *input->data++;
}


static inline uint64_t
input_word(input_t *input)
{
    unsigned  i;
    uint64_t  word;

    word = 0;

    for (i = 0; i < sizeof(word); i++) {
        word = word << 8 | input_byte(input);
    }

    return word;
}


/* Up to max bytes of it; borrowed. */
static inline const char *
input_text(input_t *input, size_t max, size_t *len)
{
    const char  *text = (const char *) input->data;

    *len = max < input->left ? max : input->left;
    input->data += *len;
    input->left -= *len;

    return text;
}


#endif /* INPUT_H_INCLUDED */
