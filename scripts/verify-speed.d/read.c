// SPDX-License-Identifier: Apache-2.0
// The floor of an audit: every byte of the files once, by so many threads, nothing else.
//   read mmap|read THREADS FILE...     mmap: 64-bit sums over mapped windows; read: 1 MiB at a time into a
//   buffer
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { WINDOW = 4 << 20, PIECE = 1 << 20, FILES = 1024 };

static struct file {
    int fd;
    uint8_t *map;
    size_t n;
} files[FILES];
static int n_files, by_map;
static atomic_uint_fast64_t next_window, total;

static uint64_t sum(const uint8_t *p, size_t n) {
    uint64_t s = 0, x;
    for (size_t i = 0; i + 8 <= n; i += 8) {
        memcpy(&x, p + i, 8);
        s += x;
    }
    return s;
}

static uint64_t take(const struct file *f, size_t at, uint8_t *buffer) {
    uint64_t s = 0;
    const size_t n = f->n - at < WINDOW ? f->n - at : WINDOW;
    if (by_map) {
        madvise(f->map + at, n, MADV_POPULATE_READ);
        s = sum(f->map + at, n);
        madvise(f->map + at, n, MADV_DONTNEED);
        return s;
    }
    for (size_t i = 0; i < n; i += PIECE)
        if (pread(f->fd, buffer, n - i < PIECE ? n - i : PIECE, (off_t)(at + i)) > 0) s += buffer[0];
    return s;
}

static void *work(void *arg) {
    uint8_t *buffer = malloc(PIECE);
    uint64_t s = 0;
    for (uint64_t w; buffer != NULL;) {
        w = atomic_fetch_add(&next_window, 1);
        int k = 0;
        for (; k < n_files && w >= (files[k].n + WINDOW - 1) / WINDOW; k++)
            w -= (files[k].n + WINDOW - 1) / WINDOW;
        if (k == n_files) break;
        s += take(&files[k], (size_t)w * WINDOW, buffer);
    }
    free(buffer);
    atomic_fetch_add(&total, s);
    return arg;
}

int main(int argc, char **argv) {
    pthread_t ids[256];
    struct timespec a, b;
    size_t n_bytes = 0;
    if (argc < 4) return 2;
    by_map = strcmp(argv[1], "mmap") == 0;
    const long asked = strtol(argv[2], NULL, 10);
    const int threads = asked < 1 ? 1 : asked < 256 ? (int)asked : 256;
    clock_gettime(CLOCK_MONOTONIC, &a);
    for (int i = 3; i < argc && n_files < FILES; i++) {
        struct stat st;
        struct file *f = &files[n_files++];
        f->fd = open(argv[i], O_RDONLY);
        if (f->fd < 0 || fstat(f->fd, &st) != 0) return perror(argv[i]), 2;
        n_bytes += f->n = (size_t)st.st_size;
        f->map = by_map ? mmap(NULL, f->n, PROT_READ, MAP_SHARED, f->fd, 0) : NULL;
        if (f->map == MAP_FAILED) return perror(argv[i]), 2;
    }
    for (int i = 0; i < threads; i++)
        if (pthread_create(&ids[i], NULL, work, NULL) != 0) return 2;
    for (int i = 0; i < threads; i++) pthread_join(ids[i], NULL);
    clock_gettime(CLOCK_MONOTONIC, &b);
    printf("%zu bytes %.4f s (sum %llx)\n", n_bytes,
           (double)(b.tv_sec - a.tv_sec) + 1e-9 * (double)(b.tv_nsec - a.tv_nsec), (unsigned long long)total);
    return 0;
}
