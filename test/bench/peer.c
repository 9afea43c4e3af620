/* The two ends of the bench, in one small program, so that neither is the bottleneck.
 *
 *   peer provider PORT                                   answers like an OpenAI-compatible provider
 *   peer streams PORT FILE SECONDS STREAMS RAMP_US       keeps STREAMS requests open; FILE holds the request's bytes
 *
 * The provider takes its orders from the request, since every gateway passes these members on: "stream":true streams,
 * "max_tokens" is the number of frames, "seed" the microseconds between two (0: all at once, a write for each).
 * Linux only; cc -O2 -o peer peer.c */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define ID "\"id\":\"chatcmpl-Bench0123456789abcdefghijklmnop\",\"object\":\"chat.completion"
#define MODEL "\"created\":1767950000,\"model\":\"gpt-4o-mini-2024-07-18\",\"service_tier\":\"default\",\"system_fingerprint\":\"fp_0123456789\""
#define FRAME(choices, usage) "data: {" ID ".chunk\"," MODEL ",\"choices\":[" choices "],\"usage\":" usage "}\n\n"
#define DELTA(delta, finish) "{\"index\":0,\"delta\":{" delta "},\"logprobs\":null,\"finish_reason\":" finish "}"
#define DETAILS "\"prompt_tokens_details\":{\"cached_tokens\":0,\"audio_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":0,\"audio_tokens\":0}"
#define SENTENCE "A gateway stands between an application and the providers of models: one address, one key, one bill. "
#define TEXT SENTENCE SENTENCE SENTENCE SENTENCE SENTENCE SENTENCE

static const char *WHOLE = "{" ID "\"," MODEL ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"" TEXT
  "\",\"refusal\":null,\"annotations\":[]},\"logprobs\":null,\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":180,"
  "\"completion_tokens\":120,\"total_tokens\":300," DETAILS "}}";
static const char *STREAM_HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nCache-Control: no-cache\r\n"
  "x-request-id: req_bench\r\nTransfer-Encoding: chunked\r\n\r\n";
static const char *WORD = FRAME(DELTA("\"content\":\" gateway\"", "null"), "null");
static const char *LAST[] = { FRAME(DELTA("", "\"stop\""), "null"),
  FRAME("", "{\"prompt_tokens\":180,\"completion_tokens\":64,\"total_tokens\":244," DETAILS "}"), "data: [DONE]\n\n" };

typedef struct Conn {
  int fd, used, room;
  char *in;
  long left, paceUs, dueUs;     /* provider: frames to go */
  struct Conn *prev, *next;     /* provider: place in the queue of paced streams */
  long sentUs, lastUs, chunk;   /* client */
  int state, column, begun;
} Conn;

static void fail(const char *what) { perror(what); exit(1); }
static long nowUs(void) { struct timespec t; clock_gettime(CLOCK_MONOTONIC, &t); return t.tv_sec * 1000000L + t.tv_nsec / 1000; }

static void sendAll(int fd, const char *bytes, size_t length) {
  while (length > 0) {
    ssize_t sent = send(fd, bytes, length, MSG_NOSIGNAL);
    if (sent > 0) { bytes += sent; length -= sent; continue; }
    if (errno != EAGAIN) return; /* gone: the read that follows says so */
    struct pollfd wait = { fd, POLLOUT, 0 };
    poll(&wait, 1, 1000);
  }
}

static int addChunk(char *to, const char *text) { return sprintf(to, "%zx\r\n%s\r\n", strlen(text), text); }

/* ---- the provider ---- */

static Conn queue = { .prev = &queue, .next = &queue };

static void leaveQueue(Conn *c) {
  if (c->next == NULL) return;
  c->prev->next = c->next; c->next->prev = c->prev; c->next = c->prev = NULL;
}

static void joinQueue(Conn *c) { /* by due time; streams of one pace always go last */
  Conn *after = queue.prev;
  while (after != &queue && after->dueUs > c->dueUs) after = after->prev;
  c->prev = after; c->next = after->next; after->next->prev = c; after->next = c;
}

static void sendWord(Conn *c) {
  char out[1024];
  sendAll(c->fd, out, addChunk(out, WORD));
  c->left--;
}

static void sendLast(Conn *c) {
  char out[4096]; int length = 0;
  for (int i = 0; i < 3; i++) length += addChunk(out + length, LAST[i]);
  length += sprintf(out + length, "0\r\n\r\n");
  sendAll(c->fd, out, length);
}

static long number(const char *text, const char *name, long otherwise) {
  const char *found = strstr(text, name);
  return found == NULL ? otherwise : atol(found + strlen(name));
}

/* Takes one whole request off the buffer and begins its answer; 0 when more bytes are needed. */
static int takeRequest(Conn *c) {
  c->in[c->used] = 0;
  char *body = strstr(c->in, "\r\n\r\n");
  if (body == NULL) return 0;
  char *length = strcasestr(c->in, "\r\ncontent-length:"), *end;
  body += 4;
  if (length != NULL && length < body) end = body + atol(length + 17);
  else if ((end = strcasestr(c->in, "\r\ntransfer-encoding:")) == NULL || end > body) end = body;
  else if ((end = strstr(body, "0\r\n\r\n")) == NULL) return 0;
  else end += 5;
  if (end > c->in + c->used) return 0;
  char kept = *end; *end = 0;
  int streams = strstr(body, "\"stream\":true") != NULL;
  c->left = number(body, "\"max_tokens\":", 64); c->paceUs = number(body, "\"seed\":", 0);
  *end = kept;
  c->used -= end - c->in;
  memmove(c->in, end, c->used);
  if (!streams) {
    static char out[4096]; static int size;
    if (size == 0) size = sprintf(out, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
      "x-request-id: req_bench\r\nopenai-processing-ms: 400\r\nopenai-version: 2020-10-01\r\n\r\n%s", strlen(WHOLE), WHOLE);
    sendAll(c->fd, out, size);
    return 1;
  }
  sendAll(c->fd, STREAM_HEAD, strlen(STREAM_HEAD));
  sendWord(c);
  if (c->paceUs == 0) { while (c->left > 0) sendWord(c); sendLast(c); }
  else { c->dueUs = nowUs() + c->paceUs; joinQueue(c); }
  return 1;
}

static void readRequests(Conn *c) {
  for (;;) {
    if (c->room - c->used < 65536) { c->room = c->room * 2 + 65536; c->in = realloc(c->in, c->room + 1); }
    ssize_t got = recv(c->fd, c->in + c->used, c->room - c->used, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) break;
    if (got <= 0) { leaveQueue(c); close(c->fd); free(c->in); free(c); return; }
    c->used += got;
  }
  while (c->used > 0 && c->next == NULL && takeRequest(c)) {}
}

static void provider(int port) {
  int listening = socket(AF_INET, SOCK_STREAM, 0), on = 1, poll = epoll_create1(0);
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  setsockopt(listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (bind(listening, (void *)&at, sizeof at) != 0 || listen(listening, 4096) != 0) fail("provider");
  struct epoll_event add = { .events = EPOLLIN, .data.ptr = NULL }, events[256];
  epoll_ctl(poll, EPOLL_CTL_ADD, listening, &add);
  for (;;) {
    struct timespec wait = { 60, 0 };
    if (queue.next != &queue) {
      long us = queue.next->dueUs - nowUs();
      wait = (struct timespec){ us > 0 ? us / 1000000 : 0, us > 0 ? us % 1000000 * 1000 : 0 };
    }
    int count = epoll_pwait2(poll, events, 256, &wait, NULL);
    for (int i = 0; i < count; i++) {
      if (events[i].data.ptr != NULL) { readRequests(events[i].data.ptr); continue; }
      Conn *c = calloc(1, sizeof *c);
      c->fd = accept4(listening, NULL, NULL, SOCK_NONBLOCK);
      setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      add.data.ptr = c;
      epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &add);
    }
    /* Frames that are due together stay together: a busy provider sends them in bursts, and a gateway meets them so. */
    long now = nowUs();
    for (Conn *c; (c = queue.next) != &queue && c->dueUs <= now;) {
      leaveQueue(c);
      if (c->left > 0) { sendWord(c); c->dueUs = now + c->paceUs; joinQueue(c); }
      else { sendLast(c); while (c->used > 0 && c->next == NULL && takeRequest(c)) {} }
    }
  }
}

/* ---- the client ---- */

enum { HEAD, SIZE, BYTES, AFTER, OVER };
static long frames, done, errors, maxGapUs, firstCount, firstRoom, *firsts;

static void tellFirst(long us) {
  if (firstCount == firstRoom) firsts = realloc(firsts, (firstRoom = firstRoom * 2 + 1024) * sizeof *firsts);
  firsts[firstCount++] = us;
}

/* Counts the lines that begin with "data:", wherever the reads were cut. */
static void readPayload(Conn *c, const char *bytes, long length, long atUs) {
  for (long i = 0; i < length; i++) {
    if (bytes[i] == '\n') { c->column = 0; continue; }
    if (c->column < 0) continue;
    if (bytes[i] != "data:"[c->column]) { c->column = -1; continue; }
    if (++c->column < 5) continue;
    c->column = -1;
    frames++;
    if (c->begun++ == 0) tellFirst(atUs - c->sentUs);
    else if (atUs - c->lastUs > maxGapUs) maxGapUs = atUs - c->lastUs;
    c->lastUs = atUs;
  }
}

/* Reads one answer as it comes: head, then chunks. Returns 1 at its end, -1 when it is no stream. */
static int readAnswer(Conn *c, const char *bytes, long length, long atUs) {
  for (long i = 0; i < length;) {
    if (c->state == BYTES) {
      long take = c->chunk < length - i ? c->chunk : length - i;
      readPayload(c, bytes + i, take, atUs);
      i += take;
      if ((c->chunk -= take) == 0) c->state = AFTER;
      continue;
    }
    char byte = c->in[c->used++] = bytes[i++]; /* a line of head or chunk size, or the end of a chunk */
    if (c->used == c->room) return -1;
    c->in[c->used] = 0;
    if (c->state == HEAD && c->used >= 4 && strcmp(c->in + c->used - 4, "\r\n\r\n") == 0) {
      if (strncmp(c->in, "HTTP/1.1 200", 12) != 0 || strcasestr(c->in, "chunked") == NULL) return -1;
      c->state = SIZE; c->used = 0;
    } else if (c->state == SIZE && byte == '\n') {
      c->chunk = strtol(c->in, NULL, 16);
      c->state = c->chunk > 0 ? BYTES : OVER; c->used = 0;
    } else if (c->state == AFTER && byte == '\n') { c->state = SIZE; c->used = 0; }
    else if (c->state == OVER && byte == '\n') return 1;
  }
  return 0;
}

static int compare(const void *a, const void *b) { long x = *(const long *)a, y = *(const long *)b; return x < y ? -1 : x > y; }

static void streams(int port, const char *file, double seconds, int count, int rampUs) {
  static char request[1 << 20], bytes[1 << 16];
  FILE *in = fopen(file, "r");
  if (in == NULL) fail(file);
  size_t size = fread(request, 1, sizeof request, in);
  struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
  int poll = epoll_create1(0), open = 0, on = 1;
  long end = nowUs() + seconds * 1e6;
  for (int i = 0; i < count; i++) {
    Conn *c = calloc(1, sizeof *c);
    c->in = malloc((c->room = 8192) + 1);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(c->fd, (void *)&at, sizeof at) != 0) fail("connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    struct epoll_event add = { .events = EPOLLIN, .data.ptr = c };
    epoll_ctl(poll, EPOLL_CTL_ADD, c->fd, &add);
    c->sentUs = nowUs();
    sendAll(c->fd, request, size);
    open++;
    if (rampUs > 0) usleep(rampUs);
  }
  struct epoll_event events[256];
  while (open > 0 && nowUs() < end + 30000000) {
    int ready = epoll_wait(poll, events, 256, 1000);
    for (int i = 0; i < ready; i++) {
      Conn *c = events[i].data.ptr;
      ssize_t got = recv(c->fd, bytes, sizeof bytes, MSG_DONTWAIT);
      if (got < 0 && errno == EAGAIN) continue;
      long atUs = nowUs();
      int state = got <= 0 ? -1 : readAnswer(c, bytes, got, atUs);
      if (state == 0) continue;
      if (state < 0) { if (errors++ < 3) fprintf(stderr, "stream failed: %.200s\n", got > 0 ? bytes : "closed"); }
      else done++;
      if (state < 0 || atUs >= end) { close(c->fd); open--; continue; }
      c->state = HEAD; c->used = 0; c->column = 0; c->begun = 0;
      c->sentUs = atUs;
      sendAll(c->fd, request, size);
    }
  }
  errors += open;
  qsort(firsts, firstCount, sizeof *firsts, compare);
  printf("{\"frames\":%ld,\"streams\":%ld,\"errors\":%ld,\"firstP50Us\":%ld,\"firstP99Us\":%ld,\"maxGapUs\":%ld}\n", frames, done,
    errors, firstCount ? firsts[firstCount / 2] : 0, firstCount ? firsts[firstCount * 99 / 100] : 0, maxGapUs);
}

int main(int count, char **words) {
  struct rlimit files;
  getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  setrlimit(RLIMIT_NOFILE, &files);
  if (count == 3 && strcmp(words[1], "provider") == 0) provider(atoi(words[2]));
  if (count == 7 && strcmp(words[1], "streams") == 0) {
    streams(atoi(words[2]), words[3], atof(words[4]), atoi(words[5]), atoi(words[6]));
    return 0;
  }
  fprintf(stderr, "usage: peer provider PORT | peer streams PORT FILE SECONDS STREAMS RAMP_US\n");
  return 2;
}
