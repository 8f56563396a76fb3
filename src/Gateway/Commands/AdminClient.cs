using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Gateway.Hosting;

namespace Gateway.Commands;

/// <summary>Something that the user can mend, in words for them.</summary>
internal sealed class CommandException(string message) : Exception(message);

/// <summary>Speaks to a running gateway's admin API.</summary>
internal sealed class AdminClient : IDisposable
{
    private static readonly TimeSpan Timeout = TimeSpan.FromSeconds(30);

    private readonly HttpClient http;

    private AdminClient(Uri address, string adminKey)
    {
        // The address is the user's own word, so no egress policy stands between.
        http = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false }) { BaseAddress = address, Timeout = Timeout };
        http.DefaultRequestHeaders.Authorization = new AuthenticationHeaderValue("Bearer", adminKey);
    }

    /// <summary>Does some work with a client and tells the user what went wrong.</summary>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(string url, string? adminKey, TextWriter error, Func<AdminClient, Task> work)
    {
        try
        {
            if (string.IsNullOrWhiteSpace(adminKey))
            {
                throw new CommandException("An admin key is needed: set GATEWAY_ADMIN_KEY or give --admin-key. It was printed at the gateway's first start.");
            }
            if (!Uri.TryCreate(url.TrimEnd('/') + "/", UriKind.Absolute, out var address) || address.Scheme is not ("http" or "https"))
            {
                throw new CommandException($"'{url}' is not an address; give one like {ListenAddresses.Default}.");
            }
            using var client = new AdminClient(address, adminKey.Trim());
            await work(client);
            return 0;
        }
        catch (CommandException exception)
        {
            await error.WriteLineAsync($"gateway: {exception.Message}");
            return Server.Failed;
        }
    }

    /// <summary>Sends a request.</summary>
    /// <returns>The answer's JSON; null where it has none.</returns>
    /// <exception cref="CommandException">There is no answer, or it is an error.</exception>
    public async Task<JsonDocument?> SendAsync(HttpMethod method, string path, string? body, CancellationToken cancellationToken)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        }
        try
        {
            using var response = await http.SendAsync(request, cancellationToken);
            var text = await response.Content.ReadAsStringAsync(cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                throw new CommandException(Explain(response.StatusCode, text));
            }
            return text.Length == 0 ? null : JsonDocument.Parse(text);
        }
        catch (HttpRequestException exception)
        {
            throw new CommandException($"No gateway answers at {http.BaseAddress}: {exception.Message} Is it running? Another address is given with --url.");
        }
        catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
        {
            throw new CommandException($"The gateway at {http.BaseAddress} did not answer within {Timeout.TotalSeconds:0} seconds.");
        }
        catch (JsonException)
        {
            throw new CommandException($"What answers at {http.BaseAddress} is not this gateway: its reply is not JSON.");
        }
    }

    /// <summary>Sends a request whose answer may be long and take long, and hands its body on as it arrives.</summary>
    /// <exception cref="CommandException">There is no answer, it is an error, or it breaks off.</exception>
    public async Task DownloadAsync(HttpMethod method, string path, Func<Stream, Task> take, CancellationToken cancellationToken)
    {
        using var patient = new HttpClient(new SocketsHttpHandler { UseProxy = false, AllowAutoRedirect = false, ConnectTimeout = Timeout }) { BaseAddress = http.BaseAddress, Timeout = System.Threading.Timeout.InfiniteTimeSpan };
        patient.DefaultRequestHeaders.Authorization = http.DefaultRequestHeaders.Authorization;
        using var request = new HttpRequestMessage(method, path);
        try
        {
            using var response = await patient.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellationToken);
            if (!response.IsSuccessStatusCode)
            {
                throw new CommandException(Explain(response.StatusCode, await response.Content.ReadAsStringAsync(cancellationToken)));
            }
            await using var body = await response.Content.ReadAsStreamAsync(cancellationToken);
            await take(body);
        }
        catch (HttpRequestException exception)
        {
            throw new CommandException($"No gateway answers at {http.BaseAddress}: {exception.Message} Is it running? Another address is given with --url.");
        }
        catch (HttpIOException exception)
        {
            throw new CommandException($"The gateway at {http.BaseAddress} broke its answer off: {exception.Message}");
        }
    }

    /// <inheritdoc/>
    public void Dispose() => http.Dispose();

    private static string Explain(HttpStatusCode status, string text)
    {
        var detail = DetailOf(text) ?? $"the gateway answered {(int)status}.";
        return status == HttpStatusCode.Unauthorized ? $"The admin key was not accepted: {detail}" : detail;
    }

    private static string? DetailOf(string text)
    {
        try
        {
            using var problem = JsonDocument.Parse(text);
            return problem.RootElement.ValueKind == JsonValueKind.Object && problem.RootElement.TryGetProperty("detail", out var detail) ? detail.GetString() : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
