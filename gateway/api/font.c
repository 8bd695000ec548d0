/* font.c - see font.h. */
#include "gateway/api/font.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/base/limits.h"
#include "common/base/macros.h"

void font_close(struct font_file *font)
{
    if (!font)
        return;
    ttf_deinit(&font->ttf);
    if (font->bytes)
        munmap(font->bytes, font->len);
    free(font);
}

static int map(int fd, struct font_file *font)
{
    struct stat st;
    void *bytes;

    if (fstat(fd, &st) < 0)
        return -errno;
    if (!S_ISREG(st.st_mode) || st.st_size < 12 || st.st_size > FONT_FILE_MAX)
        return -EBADMSG;
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (bytes == MAP_FAILED)
        return -errno;
    font->bytes = bytes;
    font->len = (size_t)st.st_size;
    return 0;
}

int font_open(const char *path, struct font_file **ret_font)
{
    struct font_file *font;
    int r, fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    font = calloc(1, sizeof(*font));
    r = font ? map(fd, font) : -ENOMEM;
    close(fd);
    if (r == 0)
        r = ttf_init(&font->ttf, slice_of(font->bytes, font->len));
    if (r < 0) {
        font_close(font);
        return r;
    }
    *ret_font = font;
    return 0;
}
