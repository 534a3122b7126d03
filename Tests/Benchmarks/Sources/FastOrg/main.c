// An org for measuring: HTTP/1.1 on a loopback port, one thread, epoll. Each answer is held back for the latency that
// was chosen while others go on. It is told what to do by lines on standard input, and ends with it:
//
//   reset APPS MICROSECONDS   the state at the beginning; the latency of every call from now on
//   counters                  what was seen since
//   app N                     identifiers and primary pair of app N; 0 is the administrator's
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "org.h"

enum { INPUT_SIZE = 16384, OUTPUT_SIZE = ORG_ANSWER_SIZE + 512 };

struct connection {
  int descriptor;
  bool is_busy;  // a request is being answered
  bool is_closed;  // by the client, while its request is being answered
  bool ends;  // after this answer
  size_t input_count;
  size_t output_sent, output_count;
  uint64_t due;
  struct connection *next;
  org_answer answer;
  char input[INPUT_SIZE];
  char output[OUTPUT_SIZE];
};

static int epoll, listener;
static uint64_t latency;
static uint64_t connections, under_way, most_under_way;
// All answers wait for the same time: the first to come is the first to go.
static struct connection *first, *last;

static uint64_t now_nanoseconds(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void give_up(const char *what) {
  perror(what);
  exit(70);
}

static void watch(struct connection *connection, uint32_t events, int operation) {
  struct epoll_event event = {.events = events, .data.ptr = connection};
  if (epoll_ctl(epoll, operation, connection->descriptor, &event) != 0) give_up("epoll_ctl");
}

static void drop(struct connection *connection) {
  if (connection->descriptor >= 0) close(connection->descriptor);
  connection->descriptor = -1;
  connection->is_closed = true;
  // One that waits for its answer is freed when that is due.
  if (!connection->is_busy) free(connection);
}

// Sends what is left; false if the connection is gone.
static bool flush(struct connection *connection) {
  while (connection->output_sent < connection->output_count) {
    ssize_t sent = send(
      connection->descriptor, connection->output + connection->output_sent,
      connection->output_count - connection->output_sent, MSG_NOSIGNAL);
    if (sent < 0 && errno == EAGAIN) {
      watch(connection, EPOLLIN | EPOLLOUT, EPOLL_CTL_MOD);
      return true;
    }
    if (sent < 0) {
      connection->is_busy = false;
      drop(connection);
      return false;
    }
    connection->output_sent += (size_t)sent;
  }
  connection->is_busy = false;
  if (connection->ends) {
    drop(connection);
    return false;
  }
  return true;
}

// The answer is due. False if the connection is gone.
static bool send_answer(struct connection *connection) {
  under_way--;
  if (connection->is_closed) {
    connection->is_busy = false;
    drop(connection);
    return false;
  }
  org_sent(&connection->answer);
  return flush(connection);
}

static void hold_back(struct connection *connection) {
  connection->due = now_nanoseconds() + latency;
  connection->next = NULL;
  if (last) last->next = connection; else first = connection;
  last = connection;
}

static void write_answer(struct connection *connection) {
  const org_answer *answer = &connection->answer;
  const char *reason = answer->status < 300 ? "OK" : "Refused";
  int head = answer->status == 204
               ? snprintf(connection->output, OUTPUT_SIZE, "HTTP/1.1 204 No Content\r\n\r\n")
               : snprintf(
                   connection->output, OUTPUT_SIZE,
                   "HTTP/1.1 %d %s\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: %zu\r\n\r\n",
                   answer->status, reason, answer->count);
  memcpy(connection->output + head, answer->body, answer->count);
  connection->output_count = (size_t)head + (answer->status == 204 ? 0 : answer->count);
  connection->output_sent = 0;
}

// The value of a header line `name: value`, or empty.
static text header_value(const char *line, size_t count, const char *name) {
  size_t length = strlen(name);
  if (count <= length || line[length] != ':' || strncasecmp(line, name, length) != 0) return (text){"", 0};
  const char *value = line + length + 1;
  size_t left = count - length - 1;
  while (left > 0 && *value == ' ') value++, left--;
  return (text){value, left};
}

// Reads one request from the start of the input. Its size; 0 if it is not whole yet; -1 if it is none.
static long parse(struct connection *connection, org_request *request) {
  char *end = memmem(connection->input, connection->input_count, "\r\n\r\n", 4);
  if (!end) return connection->input_count == INPUT_SIZE ? -1 : 0;
  char *line = connection->input;
  char *line_end = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
  char *space = memchr(line, ' ', (size_t)(line_end - line));
  if (!space) return -1;
  char *second = memchr(space + 1, ' ', (size_t)(line_end - space - 1));
  if (!second) return -1;
  *request = (org_request){
    {line, (size_t)(space - line)}, {space + 1, (size_t)(second - space - 1)}, {"", 0}, {end + 4, 0}};
  connection->ends = memcmp(second + 1, "HTTP/1.0", 8) == 0;
  while (line_end < end) {
    line = line_end + 2;
    line_end = memmem(line, (size_t)(end + 2 - line), "\r\n", 2);
    size_t count = (size_t)(line_end - line);
    text value;
    if ((value = header_value(line, count, "content-length")).count)
      request->body.count = strtoul(value.bytes, NULL, 10);
    else if ((value = header_value(line, count, "authorization")).count > 7)
      request->bearer = (text){value.bytes + 7, value.count - 7};
    else if ((value = header_value(line, count, "connection")).count)
      connection->ends = strncasecmp(value.bytes, "close", 5) == 0;
    else if (header_value(line, count, "transfer-encoding").count)
      return -1;
  }
  size_t head = (size_t)(end + 4 - connection->input);
  if (request->body.count > INPUT_SIZE - head) return -1;
  return head + request->body.count <= connection->input_count ? (long)(head + request->body.count) : 0;
}

// Answers what has arrived whole, one request at a time.
static void take_requests(struct connection *connection) {
  while (!connection->is_busy && connection->input_count > 0) {
    org_request request;
    long size = parse(connection, &request);
    if (size == 0) return;
    if (size < 0) {
      counters.errors++;
      drop(connection);
      return;
    }
    org_answer_request(&request, &connection->answer);
    connection->input_count -= (size_t)size;
    memmove(connection->input, connection->input + size, connection->input_count);
    write_answer(connection);
    connection->is_busy = true;
    if (++under_way > most_under_way) most_under_way = under_way;
    if (latency > 0) {
      hold_back(connection);
    } else if (!send_answer(connection)) {
      return;
    }
  }
}

static void read_requests(struct connection *connection) {
  size_t room = INPUT_SIZE - connection->input_count;
  ssize_t count = room ? recv(connection->descriptor, connection->input + connection->input_count, room, 0) : 0;
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count <= 0) {
    drop(connection);
    return;
  }
  connection->input_count += (size_t)count;
  take_requests(connection);
}

static void accept_connections(void) {
  int descriptor;
  while ((descriptor = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
    int one = 1;
    setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *connection = malloc(sizeof *connection);
    if (!connection) give_up("malloc");
    memset(connection, 0, offsetof(struct connection, answer));
    connection->descriptor = descriptor;
    connections++;
    watch(connection, EPOLLIN, EPOLL_CTL_ADD);
  }
  if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) give_up("accept");
}

static void send_due(void) {
  uint64_t now = first ? now_nanoseconds() : 0;
  while (first && first->due <= now) {
    struct connection *connection = first;
    first = connection->next;
    if (!first) last = NULL;
    if (send_answer(connection)) take_requests(connection);
  }
}

// MARK: - Standard input

static void obey(const char *line) {
  int number;
  unsigned long long microseconds;
  if (sscanf(line, "reset %d %llu", &number, &microseconds) == 2 && number >= 0 && number <= ORG_MAX_APPS) {
    org_reset(number);
    latency = microseconds * 1000;
    connections = most_under_way = 0;
    puts("ok");
  } else if (strcmp(line, "counters") == 0) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    printf(
      "calls=%llu admin_grants=%llu staged=%llu completed=%llu unproved=%llu retired=%llu refused=%llu errors=%llu "
      "path=%llu connections=%llu most_under_way=%llu cpu_us=%lld\n",
      (unsigned long long)counters.calls, (unsigned long long)counters.admin_grants,
      (unsigned long long)counters.staged, (unsigned long long)counters.completed,
      (unsigned long long)counters.unproved, (unsigned long long)counters.retired,
      (unsigned long long)counters.refused, (unsigned long long)counters.errors, (unsigned long long)counters.path,
      (unsigned long long)connections, (unsigned long long)most_under_way,
      (long long)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 + usage.ru_utime.tv_usec +
        usage.ru_stime.tv_usec);
  } else if (sscanf(line, "app %d", &number) == 1 && number >= 0 && number <= org_app_count()) {
    char app[32], consumer[32], key[96], secret[72];
    org_app_id(number, app);
    org_consumer_id(number, consumer);
    org_primary_pair(number, key, secret);
    printf("%s %s %s %s\n", app, consumer, key, secret);
  } else {
    puts("what?");
  }
  fflush(stdout);
}

static void read_commands(void) {
  static char buffer[512];
  static size_t count;
  ssize_t read_count = read(0, buffer + count, sizeof buffer - count);
  if (read_count <= 0) exit(0);
  count += (size_t)read_count;
  char *newline;
  while ((newline = memchr(buffer, '\n', count))) {
    *newline = 0;
    obey(buffer);
    count -= (size_t)(newline + 1 - buffer);
    memmove(buffer, newline + 1, count);
  }
}

static void listen_on_loopback(void) {
  listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  if (listener < 0 || bind(listener, (struct sockaddr *)&address, size) != 0 || listen(listener, 4096) != 0 ||
      getsockname(listener, (struct sockaddr *)&address, &size) != 0)
    give_up("listening on 127.0.0.1");
  printf("port %d\n", ntohs(address.sin_port));
  fflush(stdout);
}

int main(void) {
  signal(SIGPIPE, SIG_IGN);
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if ((epoll = epoll_create1(EPOLL_CLOEXEC)) < 0) give_up("epoll_create1");
  listen_on_loopback();
  // Told apart from connections by their addresses.
  struct epoll_event events[256] = {{.events = EPOLLIN, .data.ptr = &listener}};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, events) != 0) give_up("epoll_ctl");
  events[0] = (struct epoll_event){.events = EPOLLIN, .data.ptr = &epoll};
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, 0, events) != 0) give_up("epoll_ctl: standard input must be a pipe");
  while (true) {
    struct timespec wait = {0};
    if (first) {
      uint64_t now = now_nanoseconds();
      uint64_t left = first->due > now ? first->due - now : 0;
      wait = (struct timespec){(time_t)(left / 1000000000u), (long)(left % 1000000000u)};
    }
    int count = epoll_pwait2(epoll, events, 256, first ? &wait : NULL, NULL);
    if (count < 0 && errno != EINTR) give_up("epoll_pwait2");
    for (int i = 0; i < count; i++) {
      void *source = events[i].data.ptr;
      if (source == &listener) {
        accept_connections();
      } else if (source == &epoll) {
        read_commands();
      } else {
        struct connection *connection = source;
        if (events[i].events & EPOLLOUT) {
          watch(connection, EPOLLIN, EPOLL_CTL_MOD);
          if (!flush(connection)) continue;
          take_requests(connection);
        } else {
          read_requests(connection);
        }
      }
    }
    // After the events, which may speak of connections that end here.
    send_due();
  }
}
