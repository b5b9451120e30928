// A name is harmful if Python code that it leads to runs programs or code, imports modules by name, reads other
// pickles, or reaches files or the network. Of the built-in names, those that a data pickle can need are listed
// instead.
#include "formats/pickle_harm.h"

#include <algorithm>
#include <array>

namespace moproc::formats {
namespace {

/// Modules, and single members of modules. An entry covers everything below it.
constexpr std::string_view kHarmful[] = {
    // processes, files, the interpreter
    "os",
    "posix",
    "nt",
    "sys",
    "subprocess",
    "_posixsubprocess",
    "_winapi",
    "winreg",
    "_winreg",
    "msvcrt",
    "pty",
    "commands",
    "popen2",
    "shutil",
    "fcntl",
    "platform.popen",
    "_aix_support",
    "_osx_support",
    "multiprocessing.util",
    "io.open",
    "io.open_code",
    "io.FileIO",
    "_io.open",
    "_io.open_code",
    "_io.FileIO",
    "codecs",
    "_codecs",
    "linecache",
    "fileinput",
    "zipfile",
    "tarfile",
    "sqlite3",
    "dbm",
    "_thread",
    "thread",
    "threading.Thread",
    "atexit",
    "gc",
    // code, imports, and the tools that run it
    "importlib",
    "_frozen_importlib",
    "_frozen_importlib_external",
    "imp",
    "_imp",
    "zipimport",
    "pkgutil",
    "runpy",
    "code",
    "codeop",
    "_pyrepl",
    "idlelib",
    "lib2to3",
    "pdb",
    "bdb",
    "cProfile",
    "profile.Profile",
    "profile.run",
    "profile.runctx",
    "trace.Trace",
    "timeit",
    "doctest",
    "unittest",
    "pydoc",
    "types.CodeType",
    "types.FunctionType",
    "types.LambdaType",
    "types.MethodType",
    "ctypes",
    "_ctypes",
    "cffi",
    "_cffi_backend",
    "pip",
    "ensurepip",
    "venv",
    "setuptools.command",
    "distutils.command",
    "distutils.core",
    "distutils.file_util",
    "distutils.spawn",
    "site",
    "antigravity",
    "logging.config",
    "uuid._get_command_stdout",
    // calls of functions that are named by text, or one after the other
    "operator.attrgetter",
    "operator.itemgetter",
    "operator.methodcaller",
    "_operator.attrgetter",
    "_operator.itemgetter",
    "_operator.methodcaller",
    "functools.reduce",
    "_functools.reduce",
    "itertools.starmap",
    // the network
    "socket",
    "_socket",
    "ssl",
    "_ssl",
    "socketserver",
    "SocketServer",
    "asyncio",
    "webbrowser",
    "urllib2",
    "urllib.request",
    "urllib.urlopen",
    "http.client",
    "http.server",
    "httplib",
    "ftplib",
    "smtplib",
    "smtpd",
    "poplib",
    "imaplib",
    "nntplib",
    "telnetlib",
    "xmlrpc",
    "xmlrpclib",
    "wsgiref",
    "requests",
    "aiohttp",
    "httpx",
    "urllib3",
    "paramiko",
    // other pickles, and other ways to read or write them
    "pickle.load",
    "pickle.loads",
    "pickle._load",
    "pickle._loads",
    "pickle.Unpickler",
    "pickle._Unpickler",
    "_pickle",
    "cPickle",
    "marshal",
    "shelve",
    "dill.load",
    "dill.loads",
    "dill._dill.load",
    "dill._dill.loads",
    "cloudpickle.load",
    "cloudpickle.loads",
    "joblib.load",
    "joblib.numpy_pickle",
    "jsonpickle",
    "yaml.load",
    "yaml.unsafe_load",
    "yaml.full_load",
    "pandas.read_pickle",
    "pandas.io",
    "pandas.eval",
    "pandas.core.computation",
    // numpy and PyTorch
    "numpy.load",
    "numpy.loads",
    "numpy.fromfile",
    "numpy.loadtxt",
    "numpy.genfromtxt",
    "numpy.save",
    "numpy.savetxt",
    "numpy.lib.npyio",
    "numpy.lib._npyio_impl",
    "numpy.lib._datasource",
    "numpy.f2py",
    "numpy.distutils",
    "numpy.testing",
    "numpy.ctypeslib",
    "torch.load",
    "torch.save",
    "torch.hub",
    "torch.package",
    "torch.jit.load",
    "torch.jit._serialization",
    "torch.jit.unsupported_tensor_ops",
    "torch.serialization.load",
    "torch.storage._load_from_bytes",
    "torch._inductor",
    "torch._dynamo",
    "torch.ops",
    "torch.classes",
    "torch._ops",
    "torch._classes",
    "torch.utils.cpp_extension",
    "torch.utils.model_zoo",
    "torch.utils.collect_env",
    "torch.utils.bottleneck",
    "torch.utils._config_module",
    "torch.utils.data.datapipes.utils.decoder",
    "torch.fx.experimental.symbolic_shapes",
    "torch.distributed.run",
    "torch.distributed.launch",
    "torch.distributed.launcher",
    "torch.distributed.elastic",
    "torch.testing",
    "torch.export.load",
};

/// Modules that others have imported, by which a path of attributes leaves the module that it begins in.
constexpr std::string_view kImported[] = {"os",     "sys",    "posix",  "nt",  "subprocess", "importlib",
                                          "shutil", "socket", "ctypes", "pty", "runpy",      "pickle"};

/// The built-in types, and the functions that only compute a value from their arguments.
constexpr std::string_view kPlainBuiltins[] = {
    "bool",       "bytearray",  "bytes",      "complex", "dict",
    "enumerate",  "float",      "frozenset",  "int",     "list",
    "long",       "object",     "range",      "set",     "slice",
    "str",        "tuple",      "type",       "zip",     "unicode",
    "xrange",     "Ellipsis",   "None",       "False",   "True",
    "abs",        "all",        "any",        "chr",     "divmod",
    "hash",       "hex",        "id",         "len",     "max",
    "min",        "oct",        "ord",        "pow",     "print",
    "repr",       "reversed",   "round",      "sorted",  "sum",
    "basestring", "isinstance", "issubclass", "format",  "NotImplemented",
};

/// What Python's pickler calls itself to make an object of a class.
constexpr std::array<std::string_view, 3> kConstructors = {"_reconstructor", "__newobj__", "__newobj_ex__"};

template <class List>
bool contains(const List& list, std::string_view item) {
  return std::find(std::begin(list), std::end(list), item) != std::end(list);
}

bool is_identifier(std::string_view part) {
  return !part.empty() && std::all_of(part.begin(), part.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           static_cast<unsigned char>(c) >= 0x80;
  });
}

/// Calls f(part) for each part between dots; false as soon as f returns false.
template <class F>
bool each_part(std::string_view path, F&& f) {
  for (;;) {
    const size_t dot = path.find('.');
    if (!f(path.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    path.remove_prefix(dot + 1);
  }
}

bool is_listed(std::string_view path) {
  return std::any_of(std::begin(kHarmful), std::end(kHarmful), [&](std::string_view entry) {
    return path.starts_with(entry) && (path.size() == entry.size() || path[entry.size()] == '.');
  });
}

/// "eval", "IndexError": whether a data pickle can have a use for this built-in name.
bool is_plain_builtin(std::string_view name) {
  return contains(kPlainBuiltins, name) || name.ends_with("Error") || name.ends_with("Exception") ||
         name.ends_with("Warning");
}

/// Whether a step of an attribute's path leads out of the module: to a module that it has imported, or into the
/// interpreter by a name such as __globals__.
bool leads_away(std::string_view part) {
  return contains(kImported, part) || (part.starts_with("__") && part.ends_with("__"));
}

}  // namespace

std::string harm_in(std::string_view module, std::string_view name) {
  const std::string path = std::string(module) + "." + std::string(name);
  if (!each_part(path, is_identifier)) return "which is not a name of Python";
  if (module == "copyreg" || module == "copy_reg") return contains(kConstructors, name) ? "" : kHarm;
  if (module == "builtins" || module == "__builtin__" || module == "__builtins__")
    return is_plain_builtin(name) ? "" : kHarm;
  if (module == "_codecs" && name == "encode") return "";
  const bool stays = each_part(name, [](std::string_view part) { return !leads_away(part); });
  return is_listed(path) || !stays ? kHarm : "";
}

}  // namespace moproc::formats
