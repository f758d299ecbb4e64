"""Which area of the library reference each module of the standard library belongs to.

The areas are the chapters of docs.python.org/3/library, neighbouring chapters joined until each
has some hundreds of docstrings; a chapter is never cut. Modules written in C have no docstrings
in source form and are not listed, nor are modules that Python 3.12 or 3.13 removed, so that all
versions of Python have much the same rows.
"""

_CHAPTERS = {
    # Text Processing, Binary Data, Internationalization
    "text": "string re difflib textwrap stringprep rlcompleter codecs encodings gettext locale",
    # Data Types, Functional Programming
    "data types": (
        "datetime _pydatetime _strptime zoneinfo calendar collections _collections_abc heapq "
        "bisect weakref _weakrefset types copy pprint reprlib enum graphlib functools operator"
    ),
    # Numeric and Mathematical
    "numbers": "numbers decimal _pydecimal fractions random statistics",
    # File and Directory Access, Data Persistence, Data Compression, File Formats
    "files": (
        "pathlib posixpath ntpath genericpath fileinput stat filecmp tempfile glob fnmatch "
        "linecache shutil pickle copyreg shelve dbm sqlite3 gzip bz2 lzma _compression compression "
        "zipfile tarfile csv configparser tomllib netrc plistlib"
    ),
    # Cryptographic Services, Generic Operating System Services, Unix Specific Services,
    # Command-line interface libraries
    "operating system": (
        "hashlib hmac secrets os io _pyio argparse optparse getopt logging getpass curses "
        "platform ctypes shlex tty pty"
    ),
    # Concurrent Execution
    "concurrency": (
        "threading _threading_local multiprocessing concurrent subprocess sched queue contextvars"
    ),
    # Networking and Interprocess Communication, Internet Protocols and Support
    "network": (
        "asyncio socket ssl selectors signal webbrowser wsgiref urllib nturl2path http ftplib "
        "poplib imaplib smtplib uuid socketserver xmlrpc ipaddress"
    ),
    # Internet Data Handling, Structured Markup
    "messages and markup": "email json mailbox mimetypes base64 quopri html _markupbase xml",
    # Program Frameworks, Graphical User Interfaces with Tk, Multimedia
    "user interface": "turtle cmd tkinter wave colorsys",
    # Development Tools, Debugging and Profiling, Packaging and Distribution
    "development": (
        "typing pydoc doctest unittest bdb pdb profile cProfile pstats profiling timeit trace "
        "tracemalloc ensurepip venv zipapp"
    ),
    # Python Runtime, Custom Interpreters, Importing Modules, Language Services
    "language": (
        "sysconfig warnings dataclasses contextlib abc _py_abc traceback inspect site "
        "annotationlib code codeop zipimport pkgutil modulefinder runpy importlib ast _ast_unparse "
        "symtable token keyword tokenize tabnanny pyclbr py_compile compileall dis opcode "
        "pickletools __future__"
    ),
}

AREA_OF_MODULE = {module: area for area, modules in _CHAPTERS.items() for module in modules.split()}
"""Area of each top-level module."""
