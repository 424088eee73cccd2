-- Logins and mailboxes, as accounts answers them over HTTP.
--
-- The header X-Gatepost-Answer decides, never the status alone: `ok`, `mismatch`, `disabled`,
-- `unknown`. Everything else, no answer and no header are a temporary failure: a proxy or a broken
-- accounts must not make a password wrong or a mailbox unknown. The body of `ok` has lines
-- "key<TAB>value".
local address, token, largest, http
-- the name of this mail store, empty if there is only one
local store = ""
-- a proxy: how it logs in to the stores, nil in a store
local proxy
local PORTS = { imap = "10143", pop3 = "10110", sieve = "14190" }
local auth = dovecot.auth

local function content(path)
  local file, problem = io.open(path, "r")
  if not file then error("cannot read " .. problem, 0) end
  local text = file:read("a")
  file:close()
  return (string.gsub(text, "%s+$", ""))
end

local function quoted(text)
  return (string.gsub(text or "", "[^%w%.%-_]", function(char)
    return string.format("%%%02X", string.byte(char))
  end))
end

-- Return the word of the answer, or nil and the reason, and the body.
local function ask(path, form)
  local request = http:request {
    url = address .. path, method = form and "POST" or "GET",
  }
  if token then request:add_header("Authorization", "Bearer " .. token) end
  if form then
    request:add_header("Content-Type", "application/x-www-form-urlencoded")
    request:set_payload(form)
  end
  local answer = request:submit()
  local word = answer:header("X-Gatepost-Answer")
  if not word or word == "" or word == "temporary" then
    return nil, "accounts answered " .. tostring(answer:status()) .. " " .. tostring(answer:reason()), ""
  end
  return word, "accounts answered " .. word, answer:payload() or ""
end

-- Return the fields of an answer, or nil if it has no folder that is two levels below the mail store:
-- mailboxes would share one folder.
local function fields(body, prefix)
  local found = {}
  for key, value in string.gmatch(body, "([^\t\n]+)\t([^\n]*)") do found[key] = value end
  -- a message that is larger than the mailbox will never fit: it is refused for good
  local quota = tonumber(found[prefix .. "quota_storage_size"])
  if quota and quota < largest then found[prefix .. "quota_mail_size"] = found[prefix .. "quota_storage_size"] end
  local domain, name = string.match(found[prefix .. "home_folder"] or "", "^([^/%c]+)/([^/%c]+)$")
  if not domain or domain == "." or domain == ".." or name == "." or name == ".." then return nil end
  return found
end

-- Lua's error text would show the question, and with it a password.
local function asked(path, form)
  local done, word, reason, body = pcall(ask, path, form)
  if not done then return nil, "accounts did not answer", "" end
  return word, reason, body
end

-- A name that leads out of a folder is nobody's.
local function impossible(name)
  return name == nil or string.find(name, "[%c/]") ~= nil
end

function script_init(settings)
  for line in string.gmatch(content(settings["settings_file"]), "[^\n]+") do
    local name, value = string.match(line, "^(%w+) (.*)$")
    if name == "url" then address = value end
    if name == "token" then token = content(value) end
    if name == "largest" then largest = tonumber(value) end
    if name == "store" then store = value end
    if name == "proxy" then proxy = { tls = value } end
    if name == "proxykey" then proxy.key = content(value) end
  end
  http = dovecot.http.client {
    connect_timeout = "2s", request_timeout = "10s", request_max_attempts = 2, max_idle_time = "30s",
  }
  return 0
end

-- Return the fields by which the login process passes a session on to the store of the mailbox. The
-- password of the user was checked; the store expects the key of the proxies, and not the password.
-- Without proxy_no_multiplex, a session of 2.4.1 hangs at its second APPEND.
local function passed_on(body, request)
  local user = string.match("\n" .. body, "\nuser\t([^\n]+)")
  local host = string.match("\n" .. body, "\nhost\t([^\n]+)")
  local port = PORTS[request.protocol]
  if not user or not host or not port or impossible(user) then return nil end
  local found = { user = user, proxy = "y", host = host, port = port, master = "proxy", pass = proxy.key,
    proxy_no_multiplex = "y" }
  if proxy.tls == "verify" then found.starttls = "yes" end
  if proxy.tls == "any" then found.starttls = "any-cert" end
  return found
end

function auth_password_verify(request, password)
  if impossible(request.user) then return auth.PASSDB_RESULT_USER_UNKNOWN, "not an address" end
  local word, reason, body = asked("/dovecot/verify",
    "user=" .. quoted(request.user) .. "&password=" .. quoted(password)
    .. "&protocol=" .. quoted(request.protocol) .. "&client=" .. quoted(request.remote_ip)
    .. "&session=" .. quoted(request.session) .. "&secured=" .. quoted(request.secured)
    .. "&store=" .. quoted(store) .. (proxy and "&proxy=yes" or ""))
  if word == "ok" and proxy then
    local found = passed_on(body, request)
    if not found then return auth.PASSDB_RESULT_INTERNAL_FAILURE, "accounts named no store" end
    return auth.PASSDB_RESULT_OK, found
  end
  if word == "ok" then
    local found = fields(body, "userdb_")
    if not found then return auth.PASSDB_RESULT_INTERNAL_FAILURE, "accounts named no folder" end
    -- Dovecot takes the fields for the mailbox from here if there is one at least, and asks again if
    -- there is none
    found.userdb_user = found.user or request.user
    return auth.PASSDB_RESULT_OK, found
  end
  if word == "mismatch" then return auth.PASSDB_RESULT_PASSWORD_MISMATCH, reason end
  if word == "disabled" then return auth.PASSDB_RESULT_USER_DISABLED, reason end
  if word == "unknown" then return auth.PASSDB_RESULT_USER_UNKNOWN, reason end
  return auth.PASSDB_RESULT_INTERNAL_FAILURE, reason
end

function auth_userdb_lookup(request)
  if impossible(request.user) then return auth.USERDB_RESULT_USER_UNKNOWN, "not an address" end
  local word, reason, body = asked("/dovecot/userdb?user=" .. quoted(request.user)
    .. "&protocol=" .. quoted(request.protocol) .. "&store=" .. quoted(store))
  if word == "ok" then
    local found = fields(body, "")
    if not found then return auth.USERDB_RESULT_INTERNAL_FAILURE, "accounts named no folder" end
    return auth.USERDB_RESULT_OK, found
  end
  if word == "unknown" then return auth.USERDB_RESULT_USER_UNKNOWN, reason end
  return auth.USERDB_RESULT_INTERNAL_FAILURE, reason
end

function auth_userdb_iterate()
  local word, reason, body = asked("/dovecot/users")
  if word ~= "ok" then error(reason, 0) end
  -- an empty line is the end: a list that broke off would make mailboxes disappear
  if not string.find("\n" .. body, "\n\n$") then error("the list of accounts broke off", 0) end
  local users = {}
  for user in string.gmatch(body, "[^\n]+") do users[#users + 1] = user end
  return users
end
