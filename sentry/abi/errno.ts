/**
 * Linux error numbers as values. A handler returns one of these frozen singletons instead of
 * throwing: failing calls (`ENOENT` storms) are as common as successful ones. Source: errno(3).
 */
export class Errno {
  readonly name: string;
  /** The positive number, as in `asm-generic/errno.h`. */
  readonly number: number;
  /** What strerror(3) says. */
  readonly text: string;

  constructor(name: string, number: number, text: string) {
    this.name = name;
    this.number = number;
    this.text = text;
    byNumber[number] = this;
    Object.freeze(this);
  }

  toString(): string {
    return `${this.name} (${this.text})`;
  }
}

const byNumber: Errno[] = [];

export const EPERM: Errno = new Errno("EPERM", 1, "Operation not permitted");
export const ENOENT: Errno = new Errno("ENOENT", 2, "No such file or directory");
export const ESRCH: Errno = new Errno("ESRCH", 3, "No such process");
export const EINTR: Errno = new Errno("EINTR", 4, "Interrupted system call");
export const EIO: Errno = new Errno("EIO", 5, "Input/output error");
export const ENXIO: Errno = new Errno("ENXIO", 6, "No such device or address");
export const E2BIG: Errno = new Errno("E2BIG", 7, "Argument list too long");
export const ENOEXEC: Errno = new Errno("ENOEXEC", 8, "Exec format error");
export const EBADF: Errno = new Errno("EBADF", 9, "Bad file descriptor");
export const ECHILD: Errno = new Errno("ECHILD", 10, "No child processes");
export const EAGAIN: Errno = new Errno("EAGAIN", 11, "Resource temporarily unavailable");
export const ENOMEM: Errno = new Errno("ENOMEM", 12, "Cannot allocate memory");
export const EACCES: Errno = new Errno("EACCES", 13, "Permission denied");
export const EFAULT: Errno = new Errno("EFAULT", 14, "Bad address");
export const ENOTBLK: Errno = new Errno("ENOTBLK", 15, "Block device required");
export const EBUSY: Errno = new Errno("EBUSY", 16, "Device or resource busy");
export const EEXIST: Errno = new Errno("EEXIST", 17, "File exists");
export const EXDEV: Errno = new Errno("EXDEV", 18, "Invalid cross-device link");
export const ENODEV: Errno = new Errno("ENODEV", 19, "No such device");
export const ENOTDIR: Errno = new Errno("ENOTDIR", 20, "Not a directory");
export const EISDIR: Errno = new Errno("EISDIR", 21, "Is a directory");
export const EINVAL: Errno = new Errno("EINVAL", 22, "Invalid argument");
export const ENFILE: Errno = new Errno("ENFILE", 23, "Too many open files in system");
export const EMFILE: Errno = new Errno("EMFILE", 24, "Too many open files");
export const ENOTTY: Errno = new Errno("ENOTTY", 25, "Inappropriate ioctl for device");
export const ETXTBSY: Errno = new Errno("ETXTBSY", 26, "Text file busy");
export const EFBIG: Errno = new Errno("EFBIG", 27, "File too large");
export const ENOSPC: Errno = new Errno("ENOSPC", 28, "No space left on device");
export const ESPIPE: Errno = new Errno("ESPIPE", 29, "Illegal seek");
export const EROFS: Errno = new Errno("EROFS", 30, "Read-only file system");
export const EMLINK: Errno = new Errno("EMLINK", 31, "Too many links");
export const EPIPE: Errno = new Errno("EPIPE", 32, "Broken pipe");
export const EDOM: Errno = new Errno("EDOM", 33, "Numerical argument out of domain");
export const ERANGE: Errno = new Errno("ERANGE", 34, "Numerical result out of range");
export const EDEADLK: Errno = new Errno("EDEADLK", 35, "Resource deadlock avoided");
export const ENAMETOOLONG: Errno = new Errno("ENAMETOOLONG", 36, "File name too long");
export const ENOLCK: Errno = new Errno("ENOLCK", 37, "No locks available");
export const ENOSYS: Errno = new Errno("ENOSYS", 38, "Function not implemented");
export const ENOTEMPTY: Errno = new Errno("ENOTEMPTY", 39, "Directory not empty");
export const ELOOP: Errno = new Errno("ELOOP", 40, "Too many levels of symbolic links");
export const ENOMSG: Errno = new Errno("ENOMSG", 42, "No message of desired type");
export const EIDRM: Errno = new Errno("EIDRM", 43, "Identifier removed");
export const ECHRNG: Errno = new Errno("ECHRNG", 44, "Channel number out of range");
export const EL2NSYNC: Errno = new Errno("EL2NSYNC", 45, "Level 2 not synchronized");
export const EL3HLT: Errno = new Errno("EL3HLT", 46, "Level 3 halted");
export const EL3RST: Errno = new Errno("EL3RST", 47, "Level 3 reset");
export const ELNRNG: Errno = new Errno("ELNRNG", 48, "Link number out of range");
export const EUNATCH: Errno = new Errno("EUNATCH", 49, "Protocol driver not attached");
export const ENOCSI: Errno = new Errno("ENOCSI", 50, "No CSI structure available");
export const EL2HLT: Errno = new Errno("EL2HLT", 51, "Level 2 halted");
export const EBADE: Errno = new Errno("EBADE", 52, "Invalid exchange");
export const EBADR: Errno = new Errno("EBADR", 53, "Invalid request descriptor");
export const EXFULL: Errno = new Errno("EXFULL", 54, "Exchange full");
export const ENOANO: Errno = new Errno("ENOANO", 55, "No anode");
export const EBADRQC: Errno = new Errno("EBADRQC", 56, "Invalid request code");
export const EBADSLT: Errno = new Errno("EBADSLT", 57, "Invalid slot");
export const EBFONT: Errno = new Errno("EBFONT", 59, "Bad font file format");
export const ENOSTR: Errno = new Errno("ENOSTR", 60, "Device not a stream");
export const ENODATA: Errno = new Errno("ENODATA", 61, "No data available");
export const ETIME: Errno = new Errno("ETIME", 62, "Timer expired");
export const ENOSR: Errno = new Errno("ENOSR", 63, "Out of streams resources");
export const ENONET: Errno = new Errno("ENONET", 64, "Machine is not on the network");
export const ENOPKG: Errno = new Errno("ENOPKG", 65, "Package not installed");
export const EREMOTE: Errno = new Errno("EREMOTE", 66, "Object is remote");
export const ENOLINK: Errno = new Errno("ENOLINK", 67, "Link has been severed");
export const EADV: Errno = new Errno("EADV", 68, "Advertise error");
export const ESRMNT: Errno = new Errno("ESRMNT", 69, "Srmount error");
export const ECOMM: Errno = new Errno("ECOMM", 70, "Communication error on send");
export const EPROTO: Errno = new Errno("EPROTO", 71, "Protocol error");
export const EMULTIHOP: Errno = new Errno("EMULTIHOP", 72, "Multihop attempted");
export const EDOTDOT: Errno = new Errno("EDOTDOT", 73, "RFS specific error");
export const EBADMSG: Errno = new Errno("EBADMSG", 74, "Bad message");
export const EOVERFLOW: Errno = new Errno("EOVERFLOW", 75, "Value too large for defined data type");
export const ENOTUNIQ: Errno = new Errno("ENOTUNIQ", 76, "Name not unique on network");
export const EBADFD: Errno = new Errno("EBADFD", 77, "File descriptor in bad state");
export const EREMCHG: Errno = new Errno("EREMCHG", 78, "Remote address changed");
export const ELIBACC: Errno = new Errno("ELIBACC", 79, "Can not access a needed shared library");
export const ELIBBAD: Errno = new Errno("ELIBBAD", 80, "Accessing a corrupted shared library");
export const ELIBSCN: Errno = new Errno("ELIBSCN", 81, ".lib section in a.out corrupted");
export const ELIBMAX: Errno = new Errno(
  "ELIBMAX",
  82,
  "Attempting to link in too many shared libraries",
);
export const ELIBEXEC: Errno = new Errno("ELIBEXEC", 83, "Cannot exec a shared library directly");
export const EILSEQ: Errno = new Errno(
  "EILSEQ",
  84,
  "Invalid or incomplete multibyte or wide character",
);
export const ERESTART: Errno = new Errno(
  "ERESTART",
  85,
  "Interrupted system call should be restarted",
);
export const ESTRPIPE: Errno = new Errno("ESTRPIPE", 86, "Streams pipe error");
export const EUSERS: Errno = new Errno("EUSERS", 87, "Too many users");
export const ENOTSOCK: Errno = new Errno("ENOTSOCK", 88, "Socket operation on non-socket");
export const EDESTADDRREQ: Errno = new Errno("EDESTADDRREQ", 89, "Destination address required");
export const EMSGSIZE: Errno = new Errno("EMSGSIZE", 90, "Message too long");
export const EPROTOTYPE: Errno = new Errno("EPROTOTYPE", 91, "Protocol wrong type for socket");
export const ENOPROTOOPT: Errno = new Errno("ENOPROTOOPT", 92, "Protocol not available");
export const EPROTONOSUPPORT: Errno = new Errno("EPROTONOSUPPORT", 93, "Protocol not supported");
export const ESOCKTNOSUPPORT: Errno = new Errno("ESOCKTNOSUPPORT", 94, "Socket type not supported");
export const EOPNOTSUPP: Errno = new Errno("EOPNOTSUPP", 95, "Operation not supported");
export const EPFNOSUPPORT: Errno = new Errno("EPFNOSUPPORT", 96, "Protocol family not supported");
export const EAFNOSUPPORT: Errno = new Errno(
  "EAFNOSUPPORT",
  97,
  "Address family not supported by protocol",
);
export const EADDRINUSE: Errno = new Errno("EADDRINUSE", 98, "Address already in use");
export const EADDRNOTAVAIL: Errno = new Errno(
  "EADDRNOTAVAIL",
  99,
  "Cannot assign requested address",
);
export const ENETDOWN: Errno = new Errno("ENETDOWN", 100, "Network is down");
export const ENETUNREACH: Errno = new Errno("ENETUNREACH", 101, "Network is unreachable");
export const ENETRESET: Errno = new Errno("ENETRESET", 102, "Network dropped connection on reset");
export const ECONNABORTED: Errno = new Errno(
  "ECONNABORTED",
  103,
  "Software caused connection abort",
);
export const ECONNRESET: Errno = new Errno("ECONNRESET", 104, "Connection reset by peer");
export const ENOBUFS: Errno = new Errno("ENOBUFS", 105, "No buffer space available");
export const EISCONN: Errno = new Errno("EISCONN", 106, "Transport endpoint is already connected");
export const ENOTCONN: Errno = new Errno("ENOTCONN", 107, "Transport endpoint is not connected");
export const ESHUTDOWN: Errno = new Errno(
  "ESHUTDOWN",
  108,
  "Cannot send after transport endpoint shutdown",
);
export const ETOOMANYREFS: Errno = new Errno(
  "ETOOMANYREFS",
  109,
  "Too many references: cannot splice",
);
export const ETIMEDOUT: Errno = new Errno("ETIMEDOUT", 110, "Connection timed out");
export const ECONNREFUSED: Errno = new Errno("ECONNREFUSED", 111, "Connection refused");
export const EHOSTDOWN: Errno = new Errno("EHOSTDOWN", 112, "Host is down");
export const EHOSTUNREACH: Errno = new Errno("EHOSTUNREACH", 113, "No route to host");
export const EALREADY: Errno = new Errno("EALREADY", 114, "Operation already in progress");
export const EINPROGRESS: Errno = new Errno("EINPROGRESS", 115, "Operation now in progress");
export const ESTALE: Errno = new Errno("ESTALE", 116, "Stale file handle");
export const EUCLEAN: Errno = new Errno("EUCLEAN", 117, "Structure needs cleaning");
export const ENOTNAM: Errno = new Errno("ENOTNAM", 118, "Not a XENIX named type file");
export const ENAVAIL: Errno = new Errno("ENAVAIL", 119, "No XENIX semaphores available");
export const EISNAM: Errno = new Errno("EISNAM", 120, "Is a named type file");
export const EREMOTEIO: Errno = new Errno("EREMOTEIO", 121, "Remote I/O error");
export const EDQUOT: Errno = new Errno("EDQUOT", 122, "Disk quota exceeded");
export const ENOMEDIUM: Errno = new Errno("ENOMEDIUM", 123, "No medium found");
export const EMEDIUMTYPE: Errno = new Errno("EMEDIUMTYPE", 124, "Wrong medium type");
export const ECANCELED: Errno = new Errno("ECANCELED", 125, "Operation canceled");
export const ENOKEY: Errno = new Errno("ENOKEY", 126, "Required key not available");
export const EKEYEXPIRED: Errno = new Errno("EKEYEXPIRED", 127, "Key has expired");
export const EKEYREVOKED: Errno = new Errno("EKEYREVOKED", 128, "Key has been revoked");
export const EKEYREJECTED: Errno = new Errno("EKEYREJECTED", 129, "Key was rejected by service");
export const EOWNERDEAD: Errno = new Errno("EOWNERDEAD", 130, "Owner died");
export const ENOTRECOVERABLE: Errno = new Errno("ENOTRECOVERABLE", 131, "State not recoverable");
export const ERFKILL: Errno = new Errno("ERFKILL", 132, "Operation not possible due to RF-kill");
export const EHWPOISON: Errno = new Errno("EHWPOISON", 133, "Memory page has hardware error");

/** Other names of the same numbers, as C code writes them. */
export const EWOULDBLOCK: Errno = EAGAIN;
export const ENOTSUP: Errno = EOPNOTSUPP;

/**
 * Restart codes. They never reach the guest: when the call was interrupted by a signal, the code that
 * delivers the signal turns them into `EINTR` or into a restart of the call. Source: signal(7).
 */
/** Restart unless a handler without `SA_RESTART` runs. */
export const ERESTARTSYS: Errno = new Errno("ERESTARTSYS", 512, "Interrupted, restart");
/** Restart always, as if the call had never begun. */
export const ERESTARTNOINTR: Errno = new Errno("ERESTARTNOINTR", 513, "Interrupted, restart");
/** Restart unless any handler runs. */
export const ERESTARTNOHAND: Errno = new Errno("ERESTARTNOHAND", 514, "Interrupted, restart");

/**
 * The errno a host call reported.
 * @param number the positive host error number.
 * @returns its singleton; `EIO` for a number Linux does not have.
 */
export function errnoOf(number: number): Errno {
  return byNumber[number] ?? EIO;
}
