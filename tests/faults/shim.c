/*
 * Preloaded into the program under test: everything that it changes below one folder goes through here.
 *
 * Each change (a file made or emptied, a write, a flush, a truncate, a rename, an unlink, a folder made) has a number,
 * from 1. The environment says what becomes of it:
 *
 *   SHIM_ROOT    the folder, absolute, without symbolic links
 *   SHIM_FAULTS  NUMBER:KIND[:ERRNO] and so on, separated by commas
 *                  fail   not done, and reported as failed
 *                  late   done, and reported as failed
 *                  lost   not done, and reported as done
 *                  torn   half of a write done, and reported as failed; anything else fails
 *                  short  half of a write done, and reported as such; anything else is done
 *                  kill   the process dies before it
 *                  cut    half of a write done, and the process dies in it
 *   SHIM_FULL    FIRST:COUNT  in these changes, whatever needs room on the disk fails with ENOSPC
 *   SHIM_READ_ONLY  set: a read-only file system, EROFS
 *   SHIM_TRACE   a file that gets one line for each change:
 *                  NUMBER OPERATION FAULT INODE OFFSET LENGTH PATH, the path relative to the folder ("." is itself);
 *                a rename has both paths, with a tab between
 *                LENGTH is how many bytes follow the line: those of a write, with SHIM_RECORD, else 0
 *   SHIM_RECORD  set: after the line of a write, the bytes written; and lines with the operation "say" for what the
 *                program writes to its standard output
 *
 * Changes through a memory map are not seen: SQLite makes them in its -shm file alone, which a crash may lose.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { NONE, FAIL, LATE, LOST, TORN, SHORT, KILL, CUT };
static const char *const names[] = {"-", "fail", "late", "lost", "torn", "short", "kill", "cut"};

struct fault {
    long at;
    enum kind kind;
    int error;
};

static struct fault faults[16];
static int fault_count;
static char root[PATH_MAX];
static size_t root_length;
static int trace = -1, record, read_only;
static long number, full_from, full_count;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int error_named(const char *name) {
    if (!strcmp(name, "ENOSPC")) return ENOSPC;
    if (!strcmp(name, "EDQUOT")) return EDQUOT;
    return EIO;
}

__attribute__((constructor)) static void set_up(void) {
    const char *value = getenv("SHIM_ROOT");
    if (!value || strlen(value) >= sizeof root) return;
    strcpy(root, value);
    root_length = strlen(root);
    if ((value = getenv("SHIM_FULL"))) sscanf(value, "%ld:%ld", &full_from, &full_count);
    read_only = getenv("SHIM_READ_ONLY") != NULL;
    record = getenv("SHIM_RECORD") != NULL;
    if ((value = getenv("SHIM_TRACE")))
        trace = syscall(SYS_openat, AT_FDCWD, value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    value = getenv("SHIM_FAULTS");
    while (value && *value && fault_count < 16) {
        char kind[16] = "", error[16] = "EIO";
        struct fault *fault = &faults[fault_count];
        if (sscanf(value, "%ld:%15[a-z]:%15[A-Z]", &fault->at, kind, error) < 2) break;
        for (int k = FAIL; k <= CUT; k++)
            if (!strcmp(kind, names[k])) fault->kind = k;
        fault->error = error_named(error);
        fault_count++;
        value = strchr(value, ',');
        if (value) value++;
    }
}

/* The path below the folder, or NULL. */
static const char *below(const char *path) {
    if (!root_length || strncmp(path, root, root_length)) return NULL;
    if (path[root_length] == '/') return path + root_length + 1;
    return path[root_length] ? NULL : ".";
}

static const char *below_fd(int fd, char *buffer) {
    char link[40];
    if (!root_length) return NULL;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, buffer, PATH_MAX - 1);
    if (length < 0) return NULL;
    buffer[length] = 0;
    return below(buffer);
}

static void note(const char *operation, enum kind kind, ino_t inode, off_t offset, size_t length, const char *path,
                 const struct iovec *data, int parts) {
    if (trace < 0) return;
    char line[2 * PATH_MAX + 200];
    int used = snprintf(line, sizeof line, "%ld %s %s %lu %ld %zu %s\n", number, operation, names[kind],
                        (unsigned long)inode, (long)offset, record && parts ? length : 0, path);
    syscall(SYS_write, trace, line, used);
    for (int part = 0; record && part < parts; part++)
        syscall(SYS_write, trace, data[part].iov_base, data[part].iov_len);
}

/* Begins the next change: what is to become of it. The lock is held until `end`. */
static struct fault begin(int needs_room) {
    struct fault fault = {0, NONE, 0};
    number++;
    for (int i = 0; i < fault_count; i++)
        if (faults[i].at == number) fault = faults[i];
    if (needs_room && number >= full_from && number < full_from + full_count) {
        fault.kind = FAIL;
        fault.error = ENOSPC;
    }
    if (read_only) {
        fault.kind = FAIL;
        fault.error = EROFS;
    }
    return fault;
}

static void die_if(int now) {
    if (now) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
}

static long end(struct fault fault, long result) {
    int error = errno;
    die_if(fault.kind == CUT);
    pthread_mutex_unlock(&lock);
    errno = error;
    if (result >= 0 && (fault.kind == FAIL || fault.kind == LATE || fault.kind == TORN)) {
        errno = fault.error;
        return -1;
    }
    return result;
}

/* Whether the change itself is carried out. */
static int is_done(struct fault fault) {
    die_if(fault.kind == KILL);
    return fault.kind == NONE || fault.kind == LATE || fault.kind == SHORT || fault.kind == CUT;
}

static ino_t inode_of(const char *path) {
    struct stat status;
    return lstat(path, &status) ? 0 : status.st_ino;
}

static int open_below(int folder, const char *path, int flags, mode_t mode) {
    const char *name = path[0] == '/' ? below(path) : NULL;
    int writes = (flags & O_ACCMODE) != O_RDONLY;
    if (!name || !(writes || flags & (O_CREAT | O_TRUNC))) return syscall(SYS_openat, folder, path, flags, mode);
    struct stat status;
    int exists = !stat(path, &status);
    if (exists && read_only && writes) {
        errno = EROFS;
        return -1;
    }
    int makes = !exists && flags & O_CREAT, empties = exists && flags & O_TRUNC && status.st_size > 0;
    if (!makes && !empties) return syscall(SYS_openat, folder, path, flags, mode);
    pthread_mutex_lock(&lock);
    struct fault fault = begin(makes);
    int fd = 0;
    if (is_done(fault)) {
        fd = syscall(SYS_openat, folder, path, flags, mode);
    } else if (fault.kind == LOST) {
        fd = syscall(SYS_openat, folder, path, flags & ~O_TRUNC, mode);
    }
    note(makes ? "create" : "empty", fault.kind, inode_of(path), 0, 0, name, NULL, 0);
    if (makes && fault.kind == LOST) syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (fault.kind == LATE && fd >= 0) close(fd);
    return end(fault, fd);
}

#define OPEN(name)                                                                                                    \
    int name(const char *path, int flags, ...) {                                                                      \
        va_list rest;                                                                                                 \
        va_start(rest, flags);                                                                                        \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                       \
        va_end(rest);                                                                                                 \
        return open_below(AT_FDCWD, path, flags, mode);                                                               \
    }
OPEN(open)
OPEN(open64)
#define OPENAT(name)                                                                                                  \
    int name(int folder, const char *path, int flags, ...) {                                                          \
        va_list rest;                                                                                                 \
        va_start(rest, flags);                                                                                        \
        mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0;                                       \
        va_end(rest);                                                                                                 \
        return open_below(folder, path, flags, mode);                                                                 \
    }
OPENAT(openat)
OPENAT(openat64)
int creat(const char *path, mode_t mode) { return open_below(AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, mode); }
int creat64(const char *path, mode_t mode) { return creat(path, mode); }

/* Writes `length` bytes of the parts; at the file's own position where `offset` is negative. */
static ssize_t put(int fd, const struct iovec *data, int parts, size_t length, off_t offset) {
    size_t done = 0;
    for (int part = 0; part < parts && done < length; part++) {
        size_t size = data[part].iov_len < length - done ? data[part].iov_len : length - done;
        ssize_t written = offset < 0 ? syscall(SYS_write, fd, data[part].iov_base, size)
                                     : syscall(SYS_pwrite64, fd, data[part].iov_base, size, offset + (off_t)done);
        if (written < 0) return done ? (ssize_t)done : -1;
        done += written;
        if ((size_t)written < size) break;
    }
    return done;
}

static ssize_t write_below(int fd, const struct iovec *data, int parts, off_t offset) {
    char buffer[PATH_MAX];
    size_t length = 0;
    for (int part = 0; part < parts; part++) length += data[part].iov_len;
    if (fd == 1 && record) {
        pthread_mutex_lock(&lock);
        note("say", NONE, 0, 0, length, "-", data, parts);
        ssize_t said = put(fd, data, parts, length, offset);
        pthread_mutex_unlock(&lock);
        return said;
    }
    const char *name = below_fd(fd, buffer);
    if (!name) return put(fd, data, parts, length, offset);
    pthread_mutex_lock(&lock);
    struct stat status = {0};
    fstat(fd, &status);
    off_t at = offset;
    if (at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? status.st_size : lseek(fd, 0, SEEK_CUR);
    struct fault fault = begin(at + (off_t)length > status.st_size);
    ssize_t written = length;
    size_t half = length / 2;
    note("write", fault.kind, status.st_ino, at, length, name, data, parts);
    if (fault.kind == TORN || fault.kind == CUT || (fault.kind == SHORT && half > 0))
        written = put(fd, data, parts, half, offset);
    else if (is_done(fault))
        written = put(fd, data, parts, length, offset);
    else if (fault.kind == LOST && offset < 0)
        lseek(fd, length, SEEK_CUR);
    return end(fault, written);
}

ssize_t write(int fd, const void *bytes, size_t length) {
    struct iovec data = {(void *)bytes, length};
    return write_below(fd, &data, 1, -1);
}
ssize_t pwrite(int fd, const void *bytes, size_t length, off_t offset) {
    struct iovec data = {(void *)bytes, length};
    return write_below(fd, &data, 1, offset);
}
ssize_t pwrite64(int fd, const void *bytes, size_t length, off_t offset) { return pwrite(fd, bytes, length, offset); }
ssize_t writev(int fd, const struct iovec *data, int parts) { return write_below(fd, data, parts, -1); }
ssize_t pwritev(int fd, const struct iovec *data, int parts, off_t offset) {
    return write_below(fd, data, parts, offset);
}
ssize_t pwritev64(int fd, const struct iovec *data, int parts, off_t offset) {
    return write_below(fd, data, parts, offset);
}

static int flush(int fd, long call) {
    char buffer[PATH_MAX];
    const char *name = below_fd(fd, buffer);
    if (!name) return syscall(call, fd);
    pthread_mutex_lock(&lock);
    struct stat status = {0};
    fstat(fd, &status);
    struct fault fault = begin(0);
    note(S_ISDIR(status.st_mode) ? "flush-folder" : "flush", fault.kind, status.st_ino, 0, 0, name, NULL, 0);
    return end(fault, is_done(fault) ? syscall(call, fd) : 0);
}
int fsync(int fd) { return flush(fd, SYS_fsync); }
int fdatasync(int fd) { return flush(fd, SYS_fdatasync); }

int ftruncate(int fd, off_t length) {
    char buffer[PATH_MAX];
    const char *name = below_fd(fd, buffer);
    if (!name) return syscall(SYS_ftruncate, fd, length);
    pthread_mutex_lock(&lock);
    struct stat status = {0};
    fstat(fd, &status);
    struct fault fault = begin(length > status.st_size);
    note("truncate", fault.kind, status.st_ino, length, 0, name, NULL, 0);
    return end(fault, is_done(fault) ? syscall(SYS_ftruncate, fd, length) : 0);
}
int ftruncate64(int fd, off_t length) { return ftruncate(fd, length); }

static int unlink_below(int folder, const char *path, int flags) {
    const char *name = path[0] == '/' ? below(path) : NULL;
    ino_t inode = name ? inode_of(path) : 0;
    if (!inode) return syscall(SYS_unlinkat, folder, path, flags);
    pthread_mutex_lock(&lock);
    struct fault fault = begin(0);
    note("unlink", fault.kind, inode, 0, 0, name, NULL, 0);
    return end(fault, is_done(fault) ? syscall(SYS_unlinkat, folder, path, flags) : 0);
}
int unlink(const char *path) { return unlink_below(AT_FDCWD, path, 0); }
int unlinkat(int folder, const char *path, int flags) { return unlink_below(folder, path, flags); }
int rmdir(const char *path) { return unlink_below(AT_FDCWD, path, AT_REMOVEDIR); }

static int mkdir_below(int folder, const char *path, mode_t mode) {
    const char *name = path[0] == '/' ? below(path) : NULL;
    if (!name || inode_of(path)) return syscall(SYS_mkdirat, folder, path, mode);
    pthread_mutex_lock(&lock);
    struct fault fault = begin(1);
    long result = is_done(fault) ? syscall(SYS_mkdirat, folder, path, mode) : 0;
    note("mkdir", fault.kind, inode_of(path), 0, 0, name, NULL, 0);
    return end(fault, result);
}
int mkdir(const char *path, mode_t mode) { return mkdir_below(AT_FDCWD, path, mode); }
int mkdirat(int folder, const char *path, mode_t mode) { return mkdir_below(folder, path, mode); }

static int rename_below(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    const char *name = from[0] == '/' ? below(from) : NULL, *new_name = to[0] == '/' ? below(to) : NULL;
    ino_t inode = name && new_name ? inode_of(from) : 0;
    if (!inode) return syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    pthread_mutex_lock(&lock);
    struct fault fault = begin(0);
    char both[2 * PATH_MAX];
    snprintf(both, sizeof both, "%s\t%s", name, new_name);
    note("rename", fault.kind, inode, 0, 0, both, NULL, 0);
    return end(fault, is_done(fault) ? syscall(SYS_renameat2, from_folder, from, to_folder, to, flags) : 0);
}
int rename(const char *from, const char *to) { return rename_below(AT_FDCWD, from, AT_FDCWD, to, 0); }
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return rename_below(from_folder, from, to_folder, to, 0);
}
int renameat2(int from_folder, const char *from, int to_folder, const char *to, unsigned flags) {
    return rename_below(from_folder, from, to_folder, to, flags);
}

/* Nothing in the store does these yet. Whoever begins to must teach the model of the disk about them. */
static int unknown(const char *call, const char *path) {
    if (path[0] == '/' && !below(path)) return 0;
    fprintf(stderr, "the shim knows no %s (of %s)\n", call, path);
    abort();
}
int link(const char *from, const char *to) {
    unknown("link", to);
    return syscall(SYS_linkat, AT_FDCWD, from, AT_FDCWD, to, 0);
}
int truncate(const char *path, off_t length) {
    unknown("truncate", path);
    return syscall(SYS_truncate, path, length);
}
int fallocate(int fd, int mode, off_t offset, off_t length) {
    char buffer[PATH_MAX];
    const char *name = below_fd(fd, buffer);
    if (name) unknown("fallocate", buffer);
    return syscall(SYS_fallocate, fd, mode, offset, length);
}
int posix_fallocate(int fd, off_t offset, off_t length) {
    return fallocate(fd, 0, offset, length) ? errno : 0;
}
