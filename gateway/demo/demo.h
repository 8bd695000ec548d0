/* demo.h - the files of the chat page, as the build embeds them (embed). */
#pragma once

#include <stddef.h>

extern const unsigned char demo_html[], demo_js[], demo_css[];
extern const size_t demo_html_len, demo_js_len, demo_css_len;
