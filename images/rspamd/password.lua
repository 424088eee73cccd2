-- Print the hash of the password in the environment of this process, PASSWORD_FILE, as the controller
-- compares it. `rspamadm pw` takes passwords on its command line alone, where others can see them.
local file = assert(io.open(os.getenv("PASSWORD_FILE"), "r"))
local password = file:read("l")
file:close()
print(require "rspamd_cryptobox".pbkdf(password))
