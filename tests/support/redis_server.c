/* redis_server.c - see redis_server.h. */
#include "tests/support/redis_server.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/support/test.h"

#define START_MS 10000

static int loopback_socket(int port, struct sockaddr_in *ret_addr)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    *ret_addr = (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons((uint16_t)port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
    return fd;
}

static int free_port(void)
{
    struct sockaddr_in addr;
    socklen_t len = sizeof(addr);
    int fd = loopback_socket(0, &addr);

    assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
    close(fd);
    return ntohs(addr.sin_port);
}

static bool is_listening(int port)
{
    struct sockaddr_in addr;
    int fd = loopback_socket(port, &addr);
    bool yes = connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0;

    close(fd);
    return yes;
}

static void child_main(const struct redis_server *server, pid_t parent)
{
    char port[16];
    int null = open("/dev/null", O_RDWR);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    dup2(null, 0);
    dup2(null, 1);
    snprintf(port, sizeof(port), "%d", server->port);
    if (server->password[0])
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save",
               "", "--appendonly", "no", "--dir", "/tmp", "--requirepass", server->password,
               NULL);
    else
        execlp("redis-server", "redis-server", "--port", port, "--bind", "127.0.0.1", "--save",
               "", "--appendonly", "no", "--dir", "/tmp", NULL);
    _exit(127);
}

void redis_server_restart(struct redis_server *server)
{
    static const struct timespec pause = {.tv_nsec = 5000000};
    pid_t parent = getpid();

    assert_int_equal(server->pid, 0);
    server->pid = fork();
    assert_true(server->pid >= 0);
    if (server->pid == 0)
        child_main(server, parent);
    for (int waited = 0; !is_listening(server->port); waited += 5) {
        int status;

        if (waited > START_MS || waitpid(server->pid, &status, WNOHANG) != 0)
            fail_msg("redis-server does not start on port %d", server->port);
        nanosleep(&pause, NULL);
    }
}

void redis_server_start(struct redis_server *server, const char *password)
{
    *server = (struct redis_server){.port = free_port()};
    if (password)
        snprintf(server->password, sizeof(server->password), "%s", password);
    snprintf(server->url, sizeof(server->url), "redis://%s%s%s127.0.0.1:%d",
             password ? ":" : "", password ? password : "", password ? "@" : "", server->port);
    redis_server_restart(server);
}

void redis_server_kill(struct redis_server *server)
{
    int status;

    if (!server->pid)
        return;
    kill(server->pid, SIGKILL);
    waitpid(server->pid, &status, 0);
    server->pid = 0;
}

void redis_server_pause(struct redis_server *server, int paused)
{
    kill(server->pid, paused ? SIGSTOP : SIGCONT);
}
