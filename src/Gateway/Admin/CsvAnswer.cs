using System.Globalization;
using System.Text;

namespace Gateway.Admin;

/// <summary>
/// Writes a table as CSV (RFC 4180, UTF-8), row by row. A text that a spreadsheet would take for a formula gets an apostrophe in front.
/// </summary>
internal sealed class CsvAnswer : IAsyncDisposable
{
    /// <summary>Its media type.</summary>
    public const string MediaType = "text/csv";

    private const int FlushBytes = 32 * 1024;

    private readonly HttpContext context;
    private readonly StringBuilder text = new();
    private bool isFirst = true;

    private CsvAnswer(HttpContext context) => this.context = context;

    /// <summary>Whether the caller wants CSV: by <c>format=csv</c>, or by preferring it in <c>Accept</c>. Null: the format is none that there is.</summary>
    public static bool? IsWanted(HttpContext context, QueryReader query)
    {
        switch (query.Text("format"))
        {
            case "csv":
                return true;
            case "json":
                return false;
            case null:
                var accept = context.Request.Headers.Accept.ToString();
                var csv = accept.IndexOf(MediaType, StringComparison.OrdinalIgnoreCase);
                var json = accept.IndexOf("application/json", StringComparison.OrdinalIgnoreCase);
                return csv >= 0 && (json < 0 || csv < json);
            default:
                query.Fail("format", "'format' must be json or csv.");
                return null;
        }
    }

    /// <summary>Begins an answer.</summary>
    public static CsvAnswer Begin(HttpContext context, string fileName)
    {
        var response = context.Response;
        response.ContentType = "text/csv; charset=utf-8; header=present";
        response.Headers.CacheControl = "no-store";
        response.Headers.ContentDisposition = $"attachment; filename=\"{fileName}\"";
        response.Headers.XContentTypeOptions = "nosniff";
        return new CsvAnswer(context);
    }

    /// <summary>Adds a field to the row.</summary>
    public CsvAnswer Add(string? value)
    {
        Separate();
        if (string.IsNullOrEmpty(value))
        {
            return this;
        }
        var isFormula = value[0] is '=' or '+' or '-' or '@' or '\t' or '\r' or '\n';
        var isQuoted = isFormula || value.AsSpan().IndexOfAny(",\"\r\n;") >= 0;
        text.Append(isQuoted ? "\"" : "").Append(isFormula ? "'" : "").Append(value.Replace("\"", "\"\"", StringComparison.Ordinal)).Append(isQuoted ? "\"" : "");
        return this;
    }

    /// <summary>Adds a number.</summary>
    public CsvAnswer Add(decimal? value)
    {
        Separate();
        text.Append(CultureInfo.InvariantCulture, $"{value}");
        return this;
    }

    /// <summary>Adds a moment.</summary>
    public CsvAnswer Add(DateTimeOffset? value) => Add(value?.UtcDateTime.ToString("yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture));

    /// <summary>Ends the row. Waits for a slow client once enough has gathered.</summary>
    public async ValueTask EndRowAsync()
    {
        text.Append("\r\n");
        isFirst = true;
        if (text.Length >= FlushBytes)
        {
            await FlushAsync();
        }
    }

    public async ValueTask DisposeAsync() => await FlushAsync();

    private void Separate()
    {
        text.Append(isFirst ? "" : ",");
        isFirst = false;
    }

    private async Task FlushAsync()
    {
        await context.Response.WriteAsync(text.ToString(), context.RequestAborted);
        text.Clear();
    }
}
