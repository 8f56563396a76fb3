using System.Buffers;
using System.Globalization;
using System.Net;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using McpHub.Upstreams;
using Shared.Snapshots;

namespace McpHub.OpenApi;

/// <summary>Makes the result of a tool of what an API answers.</summary>
/// <param name="manifest">The tool server.</param>
/// <param name="token">The access token that calls carry, which no answer may repeat; null: none.</param>
internal sealed class ApiResult(ToolManifest manifest, string? token = null)
{
    /// <summary>The most bytes of the body of an error that a caller gets.</summary>
    public const int MaxErrorBytes = 16 * 1024;

    // Shorter ones are in too many words to be told from them.
    private const int ShortestSecret = 8;
    private const string Mask = "***";

    // What may tell something where there is no body.
    private static readonly string[] TellingHeaders = ["Content-Type", "Content-Length", "Last-Modified", "ETag", "Location", "Retry-After"];

    private static readonly string[] TellingNames = ["auth", "key", "token", "secret", "cookie", "pass", "session", "credential", "signature"];

    private readonly string[] secrets = [.. SecretsOf(manifest).Append(token ?? "").Where(secret => secret.Length >= ShortestSecret).SelectMany(secret => new[] { secret, Uri.EscapeDataString(secret), JsonEncodedText.Encode(secret).ToString() })
        .Distinct(StringComparer.Ordinal).OrderByDescending(secret => secret.Length)];

    /// <summary>A result that says that the arguments are wrong, so that a model can put it right.</summary>
    public static byte[] Refuse(string message) => Write(isError: true, writer => WriteText(writer, message), default);

    /// <summary>The result.</summary>
    /// <param name="operation">What was called.</param>
    /// <param name="response">The answer, its body not read yet.</param>
    /// <param name="cancellationToken">Stops the reading.</param>
    public async Task<byte[]> ReadAsync(ApiOperation operation, HttpResponseMessage response, CancellationToken cancellationToken)
    {
        var status = (int)response.StatusCode;
        var isGood = status is >= 200 and < 300;
        var limit = isGood ? manifest.OpenApi!.MaxResultBytes : Math.Min(MaxErrorBytes, manifest.OpenApi!.MaxResultBytes);
        var length = response.Content.Headers.ContentLength;
        var type = response.Content.Headers.NonValidated.TryGetValues("Content-Type", out var types) ? types.ToString() : "";
        if (response.Content.Headers.ContentEncoding.Any(encoding => !encoding.Equals("identity", StringComparison.OrdinalIgnoreCase)))
        {
            return Refuse($"{StatusLine(response)}. The answer is compressed although that was not asked for, and cannot be read.");
        }
        using var body = new PooledBytes((int)Math.Min(length ?? 4096, limit) + 1);
        await using var stream = await response.Content.ReadAsStreamAsync(cancellationToken);
        while (body.Length <= limit && await body.ReadFromAsync(stream, cancellationToken) > 0)
        {
        }
        var isCut = body.Length > limit;
        var bytes = body.Written[..Math.Min(body.Length, limit)];
        if (!isGood)
        {
            return Failure(response, type, bytes, isCut);
        }
        if (bytes.IsEmpty)
        {
            return Empty(operation, response);
        }
        return MediaTypes.IsJson(type) || MediaTypes.IsText(type) || type.Length == 0 ? Text(operation, response, type, bytes, isCut, length) : Binary(operation, response, type, bytes, isCut, length);
    }

    // A header may as well be a version or a language, which stand in many answers.
    private static IEnumerable<string> SecretsOf(ToolManifest manifest) => Credentials.SecretsOf(manifest.OpenApi!)
        .Concat(manifest.Headers.Where(header => TellingNames.Any(name => header.Key.Contains(name, StringComparison.OrdinalIgnoreCase)))
            .SelectMany(header => header.Value.Split(' ').Length == 2 ? new[] { header.Value, header.Value.Split(' ')[1] } : [header.Value]));

    private byte[] Failure(HttpResponseMessage response, string type, ReadOnlyMemory<byte> bytes, bool isCut)
    {
        var text = new StringBuilder(StatusLine(response));
        if (Redirects.Is(response))
        {
            text.Append(": a redirect that is not followed");
        }
        text.Append('.');
        foreach (var name in new[] { "Retry-After", "WWW-Authenticate" })
        {
            if (response.Headers.NonValidated.TryGetValues(name, out var values))
            {
                text.Append(CultureInfo.InvariantCulture, $"\n{name}: {values}");
            }
        }
        if (!bytes.IsEmpty)
        {
            text.Append("\n\n").Append(MediaTypes.IsJson(type) || MediaTypes.IsText(type) || type.Length == 0 ? Decode(type, bytes, isCut)
                : string.Create(CultureInfo.InvariantCulture, $"({bytes.Length} bytes of {MediaTypes.Plain(type)})"));
        }
        return Write(isError: true, writer => WriteText(writer, Clean(text.ToString()) + (isCut ? Notice(bytes.Length, null) : "")), default);
    }

    private byte[] Empty(ApiOperation operation, HttpResponseMessage response)
    {
        var text = new StringBuilder(StatusLine(response)).Append(operation.Method == "HEAD" ? "." : ", no content.");
        foreach (var name in TellingHeaders)
        {
            if (response.Headers.NonValidated.TryGetValues(name, out var values) || response.Content.Headers.NonValidated.TryGetValues(name, out values))
            {
                text.Append(CultureInfo.InvariantCulture, $"\n{name}: {values}");
            }
        }
        // A client that was told of a structure refuses a result without it, unless it is an error.
        return Write(isError: operation.HasOutputSchema, writer => WriteText(writer, Clean(text.ToString())), default);
    }

    private byte[] Text(ApiOperation operation, HttpResponseMessage response, string type, ReadOnlyMemory<byte> bytes, bool isCut, long? length)
    {
        var text = Clean(Decode(type, bytes, isCut));
        if (!operation.HasOutputSchema)
        {
            return Write(isError: false, writer => WriteText(writer, isCut ? text + Notice(bytes.Length, length) : text), default);
        }
        if (!isCut && MediaTypes.IsJson(type) && IsObject(text))
        {
            return Write(isError: false, writer => WriteText(writer, text), text);
        }
        var why = isCut ? Notice(bytes.Length, length) : "\n\n[This is not the JSON object that the API's document announces.]";
        return Write(isError: true, writer => WriteText(writer, $"{StatusLine(response)}.\n\n{text}{why}"), default);
    }

    private byte[] Binary(ApiOperation operation, HttpResponseMessage response, string type, ReadOnlyMemory<byte> bytes, bool isCut, long? length)
    {
        var plain = MediaTypes.Plain(type);
        if (isCut || !MediaTypes.CanBeSent(plain))
        {
            var size = length is { } known ? string.Create(CultureInfo.InvariantCulture, $"{known} bytes") : string.Create(CultureInfo.InvariantCulture, $"more than {bytes.Length} bytes");
            return Write(isError: operation.HasOutputSchema, writer => WriteText(writer, string.Create(CultureInfo.InvariantCulture,
                $"{StatusLine(response)}: {size} of {(MediaTypes.CanBeSent(plain) ? plain : "an unknown type")}, which are not shown. Binary answers of up to {manifest.OpenApi!.MaxResultBytes} bytes are.")), default);
        }
        return Write(isError: operation.HasOutputSchema, writer =>
        {
            writer.WriteStartObject();
            var kind = plain.StartsWith("image/", StringComparison.Ordinal) ? "image" : plain.StartsWith("audio/", StringComparison.Ordinal) ? "audio" : "resource";
            writer.WriteString("type", kind);
            if (kind == "resource")
            {
                writer.WriteStartObject("resource");
                writer.WriteString("uri", $"openapi://{Uri.EscapeDataString(manifest.Id)}/{Uri.EscapeDataString(operation.Name)}");
                writer.WriteString("mimeType", plain);
                writer.WriteBase64String("blob", bytes.Span);
                writer.WriteEndObject();
            }
            else
            {
                writer.WriteBase64String("data", bytes.Span);
                writer.WriteString("mimeType", plain);
            }
            writer.WriteEndObject();
        }, default);
    }

    private static string StatusLine(HttpResponseMessage response) => string.Create(CultureInfo.InvariantCulture, $"HTTP {(int)response.StatusCode} {ReasonOf(response.StatusCode)}").TrimEnd();

    // The server's own phrase could be anything.
    private static string ReasonOf(HttpStatusCode status) => Microsoft.AspNetCore.WebUtilities.ReasonPhrases.GetReasonPhrase((int)status);

    private static string Notice(int shown, long? length) => string.Create(CultureInfo.InvariantCulture,
        $"\n\n[Cut here: the first {shown} bytes are shown{(length is { } known ? $" of {known}" : "")}. Ask for less, for example with a filter or a page size.]");

    // What was cut within a character ends before it.
    private static string Decode(string type, ReadOnlyMemory<byte> bytes, bool isCut)
    {
        var encoding = EncodingOf(type);
        var decoder = encoding.GetDecoder();
        var chars = new char[encoding.GetMaxCharCount(bytes.Length)];
        var count = decoder.GetChars(bytes.Span, chars, flush: !isCut);
        count = count > 0 && char.IsHighSurrogate(chars[count - 1]) ? count - 1 : count;
        return new string(chars, 0, count).TrimStart('\uFEFF');
    }

    private static Encoding EncodingOf(string type)
    {
        if (System.Net.Http.Headers.MediaTypeHeaderValue.TryParse(type, out var parsed) && parsed.CharSet is { Length: > 0 } charset)
        {
            try
            {
                return Encoding.GetEncoding(charset.Trim('"'));
            }
            catch (ArgumentException)
            {
                // An encoding that nobody here knows; what is plain in it is still readable.
                return Encoding.Latin1;
            }
        }
        return Encoding.UTF8;
    }

    // An API may repeat what it was sent, in an error above all.
    private string Clean(string text)
    {
        foreach (var secret in secrets)
        {
            text = text.Replace(secret, Mask, StringComparison.Ordinal);
        }
        return text;
    }

    private static bool IsObject(string text)
    {
        try
        {
            var reader = new Utf8JsonReader(Encoding.UTF8.GetBytes(text), new JsonReaderOptions { MaxDepth = RpcFrame.MaxDepth - 4 });
            if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject)
            {
                return false;
            }
            while (reader.Read())
            {
            }
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static void WriteText(Utf8JsonWriter writer, string text)
    {
        writer.WriteStartObject();
        writer.WriteString("type", "text");
        writer.WriteString("text", text);
        writer.WriteEndObject();
    }

    private static byte[] Write(bool isError, Action<Utf8JsonWriter> writeContent, string? structured)
    {
        var output = new ArrayBufferWriter<byte>(1024);
        using var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping });
        writer.WriteStartObject();
        writer.WriteStartArray("content");
        writeContent(writer);
        writer.WriteEndArray();
        if (structured is not null)
        {
            writer.WritePropertyName("structuredContent");
            var line = new ArrayBufferWriter<byte>(structured.Length);
            RawJson.WriteCompact(Encoding.UTF8.GetBytes(structured), line);
            writer.WriteRawValue(line.WrittenSpan, skipInputValidation: true);
        }
        if (isError)
        {
            writer.WriteBoolean("isError", true);
        }
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenSpan.ToArray();
    }
}
