// A name is harmful if Python code that it leads to runs programs or code, imports modules by name, reads other
// pickles, or reaches files or the network. Of the built-in names, those that a data pickle can need are listed
// instead. Python finds a name wherever a module has imported it ("tempfile._os.system"), so each end of a path is
// compared with the lists, not only the whole path.
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
    "multiprocessing.spawn",
    "multiprocessing.connection",
    "tempfile",
    "gzip",
    "bz2",
    "lzma",
    "mmap",
    "weakref.finalize",
    "mailcap",
    "io.open",
    "io.open_code",
    "io.FileIO",
    "_pyio",
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
    "setuptools",
    "distutils",
    "pkg_resources",
    "_distutils_hack",
    "site",
    "antigravity",
    "dataclasses._create_fn",
    "dataclasses._FuncBuilder",
    "dataclasses.make_dataclass",
    "compileall",
    "py_compile",
    "zipapp",
    "tkinter",
    "IPython",
    "logging.config",
    "logging.basicConfig",
    "logging.FileHandler",
    "logging.handlers",
    "uuid._get_command_stdout",
    // calls of functions that are named by text, or one after the other
    "operator.attrgetter",
    "operator.itemgetter",
    "operator.methodcaller",
    "functools.reduce",
    "itertools.starmap",
    "hydra.utils.instantiate",
    "hydra.utils.call",
    "hydra.utils.get_method",
    "hydra.utils.get_object",
    "hydra._internal",
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
    "numexpr",
    "sympy.parsing",
    "sympy.sympify",
    "sympy.core.sympify",
    // numpy and PyTorch
    "numpy.load",
    "numpy.loads",
    "numpy.fromfile",
    "numpy.loadtxt",
    "numpy.genfromtxt",
    "numpy.save",
    "numpy.savetxt",
    "numpy.savez",
    "numpy.savez_compressed",
    "numpy.fromregex",
    "numpy.DataSource",
    "numpy.memmap",
    "numpy.ndarray.dump",
    "numpy.core.memmap",
    "numpy._core.memmap",
    "numpy.lib.format",
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
    "torch.export.save",
    "torch.fx.graph_module",
    "torch.distributed.rpc",
    "torch._C.PyTorchFileReader",
    "torch._C.PyTorchFileWriter",
    "torch.PyTorchFileReader",
    "torch.PyTorchFileWriter",
    "torchvision.datasets.utils",
};

/// Modules that others have imported, by which a path of attributes leaves the module that it begins in. Leading
/// underscores do not count ("_os").
constexpr std::string_view kImported[] = {"os",        "sys",    "posix",   "nt",     "subprocess",
                                          "importlib", "shutil", "socket",  "ctypes", "pty",
                                          "runpy",     "pickle", "marshal", "bltns",  "builtins"};

/// Modules of the lists that can also stand behind the name of another package, which has a copy of them
/// ("six.moves.subprocess", "setuptools._distutils"). Other harmful modules share their names with what users call
/// their own: models.code, methods.ssl, data.pdb.
constexpr std::string_view kCopied[] = {"os",     "posix",  "subprocess", "importlib",   "runpy",      "shutil",
                                        "ctypes", "pickle", "cPickle",    "cloudpickle", "joblib",     "marshal",
                                        "pydoc",  "urllib", "urllib2",    "distutils",   "webbrowser", "zipimport"};

/// Functions that do harm whatever module they are taken from, because others import or copy them.
constexpr std::string_view kFunctions[] = {
    "eval",
    "exec",
    "exec_",
    "execfile",
    "open",
    "open_code",
    "system",
    "popen",
    "popen2",
    "popen3",
    "popen4",
    "Popen",
    "check_call",
    "check_output",
    "getoutput",
    "getstatusoutput",
    "spawn",
    "spawnl",
    "spawnle",
    "spawnlp",
    "spawnlpe",
    "spawnv",
    "spawnve",
    "spawnvp",
    "spawnvpe",
    "execl",
    "execle",
    "execlp",
    "execlpe",
    "execv",
    "execve",
    "execvp",
    "execvpe",
    "posix_spawn",
    "posix_spawnp",
    "startfile",
    "import_module",
    "run_module",
    "run_path",
    "rmtree",
    "removedirs",
    "urlopen",
    "urlretrieve",
    "CDLL",
    "PyDLL",
    "FileIO",
    "fromfile",
    "memmap",
    "open_memmap",
    "load_inline",
    "load_source",
    "load_dynamic",
    "reduce_graph_module",
};

/// Methods that do harm in every class: of paths, arrays, loaders, interpreters.
constexpr std::string_view kMethods[] = {
    "write_text", "write_bytes", "read_text",   "read_bytes", "unlink",    "rmdir",       "symlink_to",  "tofile",
    "fromfile",   "from_file",   "load_module", "runcode",    "runsource", "exec_module", "hardlink_to", "_write_file",
};

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

/// `part` without leading underscores.
std::string_view bare(std::string_view part) {
  part.remove_prefix(std::min(part.size(), part.find_first_not_of('_')));
  return part;
}

bool is_entry(std::string_view path) {
  return std::any_of(std::begin(kHarmful), std::end(kHarmful), [&](std::string_view entry) {
    return path.starts_with(entry) && (path.size() == entry.size() || path[entry.size()] == '.');
  });
}

/// Whether the path is listed, or an end of it that begins with a module of which others have copies.
bool is_listed(std::string_view path) {
  if (is_entry(path) || is_entry(bare(path))) return true;
  for (size_t dot = path.find('.'); dot != std::string_view::npos; dot = path.find('.', dot + 1)) {
    const std::string_view end = bare(path.substr(dot + 1));
    if (contains(kCopied, end.substr(0, end.find('.'))) && is_entry(end)) return true;
  }
  return false;
}

/// "eval", "IndexError": whether a data pickle can have a use for this built-in name.
bool is_plain_builtin(std::string_view name) {
  return contains(kPlainBuiltins, name) || name.ends_with("Error") || name.ends_with("Exception") ||
         name.ends_with("Warning");
}

/// Whether the module is Python's builtins or a copy of it, such as six.moves.builtins.
bool is_builtins(std::string_view module) {
  const std::string_view last = module.substr(module.rfind('.') + 1);
  return module == "__builtin__" || module == "__builtins__" || bare(last) == "builtins";
}

/// Whether a step of an attribute's path leads out of the module: to a module that it has imported, or into the
/// interpreter by a name such as __globals__.
bool leads_away(std::string_view part) {
  return contains(kImported, bare(part)) || (part.starts_with("__") && part.ends_with("__"));
}

/// Whether the qualified name does harm in any module: by a step that leads away, by a function or method of the lists,
/// or because it reaches through something that is no class ("bltns.eval"), which only a module can be.
bool is_harmful_name(std::string_view name) {
  if (contains(kFunctions, name.substr(0, name.find('.')))) return true;
  bool of_class = true;
  return !each_part(name, [&](std::string_view part) {
    const bool stays = of_class && !leads_away(part) && !contains(kMethods, part);
    of_class = is_class_like(part);
    return stays;
  });
}

}  // namespace

bool is_class_like(std::string_view name) {
  name = bare(name);
  return !name.empty() && name.front() >= 'A' && name.front() <= 'Z';
}

std::string harm_in(std::string_view module, std::string_view name) {
  const std::string path = std::string(module) + "." + std::string(name);
  if (!each_part(path, is_identifier)) return "which is not a name of Python";
  if (module == "copyreg" || module == "copy_reg") return contains(kConstructors, name) ? "" : kHarm;
  if (is_builtins(module)) return is_plain_builtin(name) ? "" : kHarm;
  if (module == "_codecs" && name == "encode") return "";
  if (path == "torch._dynamo.decorators._DimRange") return "";                        // of PyTorch's nested tensors
  if (module == "pathlib" && name.find('.') != std::string_view::npos) return kHarm;  // Path.open and its like
  return is_listed(path) || is_harmful_name(name) ? kHarm : "";
}

}  // namespace moproc::formats
