/*
 * main.c - a TCP relay whose wires can be cut, silenced, delayed and slowed
 * down while a campaign runs. See wire.h for its words.
 *
 * Commands on stdin, one a line, each answered by a line on stdout, `ok` and
 * perhaps a number, or `error` and why:
 *
 *   way NAME                    listens; answers with the port. link:* has peers
 *   target NAME PORT            where its connections go; until then they are refused
 *   set NAME PEER DIR MODE [N]  PEER: a gateway or *; DIR: up, down, both;
 *                               MODE: pass, hold, delay (N ms), slow (N bytes a second)
 *   cut NAME PEER               resets the wires that are open; answers how many
 *   refuse NAME on|off          connections are refused
 *
 * What is held, ends included, waits for the next `set`. The program ends with stdin.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/chaos/proxy/wire.h"

#define LINE_BYTES 4096
#define WORDS_MAX 6

struct input {
    struct event_base *base;
    struct relay *relay;
    char line[LINE_BYTES];
    size_t len;
};

static void refuse_command(const char *why)
{
    printf("error %s\n", why);
}

static void do_way(struct relay *relay, const char *name)
{
    struct way *way = strlen(name) < NAME_MAX_BYTES && !relay_find(relay, name)
                          ? relay_add(relay, name, strncmp(name, "link:", 5) == 0)
                          : NULL;

    if (way)
        printf("ok %u\n", way_port(way));
    else
        refuse_command("the way is there already, or cannot be opened");
}

static bool parse_rule(char **words, struct rule *ret_rule)
{
    static const char *const modes[] = {[RULE_PASS] = "pass",
                                        [RULE_HOLD] = "hold",
                                        [RULE_DELAY] = "delay",
                                        [RULE_SLOW] = "slow"};

    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        if (strcmp(words[0], modes[i]) == 0) {
            *ret_rule = (struct rule){.mode = (enum rule_mode)i,
                                      .value = words[1] ? (uint32_t)atoi(words[1]) : 0};
            return i < RULE_DELAY || ret_rule->value > 0;
        }
    }
    return false;
}

static void do_set(struct way *way, char **words)
{
    const char *dir = words[3] ? words[3] : "";
    bool up = strcmp(dir, "up") == 0 || strcmp(dir, "both") == 0;
    bool down = strcmp(dir, "down") == 0 || strcmp(dir, "both") == 0;
    struct rule rule;

    if ((!up && !down) || !words[4] || !parse_rule(words + 4, &rule)) {
        refuse_command("set NAME PEER up|down|both pass|hold|delay|slow [N]");
        return;
    }
    if ((up && !way_set_rule(way, words[2], UP, rule)) ||
        (down && !way_set_rule(way, words[2], DOWN, rule)))
        refuse_command("too many peers");
    else
        printf("ok\n");
}

static void command(struct relay *relay, char *line)
{
    char *words[WORDS_MAX + 1] = {NULL};
    struct way *way;
    int n = 0;

    for (char *word = strtok(line, " "); word && n < WORDS_MAX; word = strtok(NULL, " "))
        words[n++] = word;
    if (n < 2) {
        refuse_command("a command and the name of a way");
        return;
    }
    if (strcmp(words[0], "way") == 0) {
        do_way(relay, words[1]);
        return;
    }
    way = relay_find(relay, words[1]);
    if (!way) {
        refuse_command("no such way");
    } else if (strcmp(words[0], "set") == 0) {
        do_set(way, words);
    } else if (strcmp(words[0], "target") == 0 && n == 3) {
        way_set_target(way, (uint16_t)atoi(words[2]));
        printf("ok\n");
    } else if (strcmp(words[0], "cut") == 0 && n == 3) {
        printf("ok %zu\n", way_cut(way, words[2]));
    } else if (strcmp(words[0], "refuse") == 0 && n == 3) {
        way_refuse(way, strcmp(words[2], "on") == 0);
        printf("ok\n");
    } else {
        refuse_command("no such command");
    }
}

static void on_input(evutil_socket_t fd, short what, void *arg)
{
    struct input *in = arg;
    ssize_t n = read(fd, in->line + in->len, sizeof(in->line) - in->len);
    char *end;

    (void)what;
    if (n <= 0) {
        event_base_loopbreak(in->base);
        return;
    }
    in->len += (size_t)n;
    while ((end = memchr(in->line, '\n', in->len))) {
        size_t len = (size_t)(end - in->line) + 1;

        *end = '\0';
        command(in->relay, in->line);
        memmove(in->line, in->line + len, in->len - len);
        in->len -= len;
    }
    if (in->len == sizeof(in->line))
        event_base_loopbreak(in->base); /* no command is that long */
    fflush(stdout);
}

int main(void)
{
    static struct input in;
    struct event *reads;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGINT, SIG_IGN); /* the terminal's Ctrl-C is for who runs us */
    in.base = event_base_new();
    if (!in.base)
        return 1;
    in.relay = relay_new(in.base);
    reads = event_new(in.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &in);
    if (!reads || event_add(reads, NULL) < 0)
        return 1;
    event_base_dispatch(in.base);
    return 0;
}
