using System.Buffers;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;

namespace McpHub.OpenApi;

/// <summary>Writes the body of a request.</summary>
internal static class BodyWriter
{
    private const string PlainText = "text/plain";

    /// <summary>The body; null: there is none.</summary>
    /// <exception cref="BadArgumentException">An argument cannot be sent.</exception>
    public static HttpContent? Write(ApiBody body, IReadOnlyDictionary<string, JsonElement> given)
    {
        if (body.Whole is { } whole)
        {
            return given.TryGetValue(whole.Name, out var value) ? Whole(body, whole, value) : body.IsRequired ? Empty(body) : null;
        }
        var fields = body.Fields.Where(field => given.ContainsKey(field.Argument.Name)).Select(field => (field, given[field.Argument.Name])).ToList();
        return fields.Count == 0 && !body.IsRequired ? null : Fields(body, fields);
    }

    private static ByteArrayContent Empty(ApiBody body) => Typed([], body.MediaType);

    private static HttpContent Whole(ApiBody body, ApiArgument argument, JsonElement value) => body.Kind switch
    {
        BodyKind.Json => Typed(Encoding.UTF8.GetBytes(value.GetRawText()), body.MediaType),
        BodyKind.Text => Typed(Encoding.UTF8.GetBytes(Text(argument.Name, value)), body.MediaType),
        BodyKind.Binary => Typed(Bytes(argument.Name, value), body.MediaType),
        _ => Fields(body, Members(body, argument, value)),
    };

    // Members that the document does not name are sent as they are called.
    private static List<(ApiField Field, JsonElement Value)> Members(ApiBody body, ApiArgument argument, JsonElement value)
    {
        var members = new List<(ApiField, JsonElement)>();
        foreach (var member in value.EnumerateObject())
        {
            var known = body.Fields.FirstOrDefault(field => field.Argument.Name == member.Name);
            members.Add((known ?? new ApiField(member.Name, argument, IsFile: false, null, null, Explodes: true, AllowsReserved: false), member.Value));
        }
        foreach (var field in body.Fields.Where(field => field.Argument.IsRequired && !members.Exists(member => member.Item1 == field)))
        {
            throw new BadArgumentException($"The argument '{argument.Name}' lacks the member '{field.Argument.Name}', which is required.");
        }
        return members;
    }

    private static HttpContent Fields(ApiBody body, List<(ApiField Field, JsonElement Value)> fields) => body.Kind switch
    {
        BodyKind.Form => Typed(Encoding.ASCII.GetBytes(Form(fields)), body.MediaType),
        BodyKind.Multipart => Multipart(fields),
        _ => Typed(Json(fields), body.MediaType),
    };

    private static byte[] Json(List<(ApiField Field, JsonElement Value)> fields)
    {
        var output = new ArrayBufferWriter<byte>();
        using var writer = new Utf8JsonWriter(output, new JsonWriterOptions { Encoder = System.Text.Encodings.Web.JavaScriptEncoder.UnsafeRelaxedJsonEscaping, SkipValidation = true });
        writer.WriteStartObject();
        foreach (var (field, value) in fields)
        {
            writer.WritePropertyName(field.Name);
            writer.WriteRawValue(value.GetRawText(), skipInputValidation: true);
        }
        writer.WriteEndObject();
        writer.Flush();
        return output.WrittenSpan.ToArray();
    }

    // Without a style, a value is written as its type implies: lists repeated, objects as JSON (OpenAPI 3.1, Encoding Object).
    private static string Form(List<(ApiField Field, JsonElement Value)> fields)
    {
        var form = new StringBuilder();
        foreach (var (field, value) in fields)
        {
            if (field.Style is { } style)
            {
                ParameterText.Query(form, new ApiParameter(field.Name, field.Argument, ParameterPlace.Query, style, field.Explodes, field.AllowsReserved, IsJson: false), value);
                continue;
            }
            foreach (var item in value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value])
            {
                form.Append(form.Length == 0 ? "" : "&").Append(ParameterText.Encode(field.Name)).Append('=').Append(ParameterText.Encode(Plain(item)));
            }
        }
        return form.ToString();
    }

    private static MultipartContent Multipart(List<(ApiField Field, JsonElement Value)> fields)
    {
        var content = new MultipartContent("form-data") { HeaderEncodingSelector = (_, _) => Encoding.UTF8 };
        try
        {
            foreach (var (field, value) in fields)
            {
                foreach (var item in value.ValueKind == JsonValueKind.Array ? value.EnumerateArray().ToArray() : [value])
                {
                    Add(content, field, item);
                }
            }
            return content;
        }
        catch
        {
            content.Dispose();
            throw;
        }
    }

    private static void Add(MultipartContent content, ApiField field, JsonElement value)
    {
        if (field.IsFile)
        {
            var (bytes, fileName, mediaType) = File(field, value);
            var file = Typed(bytes, mediaType ?? field.MediaType ?? "application/octet-stream");
            file.Headers.TryAddWithoutValidation("Content-Disposition", $"form-data; name=\"{Quoted(field.Name)}\"; filename=\"{Quoted(fileName)}\"");
            content.Add(file);
            return;
        }
        var isComplex = value.ValueKind is JsonValueKind.Object or JsonValueKind.Array;
        var part = Typed(Encoding.UTF8.GetBytes(Plain(value)), field.MediaType ?? (isComplex ? MediaTypes.Json : PlainText + "; charset=utf-8"));
        part.Headers.TryAddWithoutValidation("Content-Disposition", $"form-data; name=\"{Quoted(field.Name)}\"");
        content.Add(part);
    }

    private static (byte[] Bytes, string FileName, string? MediaType) File(ApiField field, JsonElement value)
    {
        var name = field.Argument.Name;
        if (value.ValueKind != JsonValueKind.Object)
        {
            throw new BadArgumentException($"The argument '{name}' is a file: expected an object with 'base64' or 'text'.");
        }
        var hasBytes = value.TryGetProperty("base64"u8, out var base64);
        var hasText = value.TryGetProperty("text"u8, out var text);
        if (hasBytes == hasText)
        {
            throw new BadArgumentException($"The argument '{name}' is a file: expected either 'base64' or 'text' in it.");
        }
        var type = value.TryGetProperty("mediaType"u8, out var given) ? Text($"{name}.mediaType", given) : null;
        if (type is not null && !MediaTypes.CanBeSent(type))
        {
            throw new BadArgumentException($"The argument '{name}.mediaType' is no media type; expected one such as image/png.");
        }
        return (hasBytes ? Bytes($"{name}.base64", base64) : Encoding.UTF8.GetBytes(Text($"{name}.text", text)), value.TryGetProperty("fileName"u8, out var file) ? Text($"{name}.fileName", file) : "file", type);
    }

    // As browsers write them (HTML, multipart/form-data encoding algorithm): nothing ends the quotes or the line.
    private static string Quoted(string text)
    {
        var quoted = new StringBuilder();
        foreach (var rune in text.EnumerateRunes())
        {
            quoted.Append(rune.Value is '"' or < ' ' or 0x7f or '\\' ? Uri.HexEscape((char)rune.Value) : rune.ToString());
        }
        return quoted.ToString();
    }

    private static ByteArrayContent Typed(byte[] bytes, string mediaType)
    {
        var content = new ByteArrayContent(bytes);
        content.Headers.ContentType = MediaTypeHeaderValue.Parse(mediaType);
        return content;
    }

    private static string Plain(JsonElement value) => value.ValueKind switch { JsonValueKind.String => value.GetString()!, JsonValueKind.Null => "", _ => value.GetRawText() };

    private static string Text(string name, JsonElement value)
    {
        try
        {
            return value.ValueKind == JsonValueKind.String ? value.GetString()! : throw new BadArgumentException($"The argument '{name}' must be a text.");
        }
        catch (InvalidOperationException)
        {
            throw new BadArgumentException($"The argument '{name}' holds half a surrogate pair, which is no text.");
        }
    }

    private static byte[] Bytes(string name, JsonElement value) =>
        value.ValueKind == JsonValueKind.String && value.TryGetBytesFromBase64(out var bytes) ? bytes : throw new BadArgumentException($"The argument '{name}' must be base64.");
}
