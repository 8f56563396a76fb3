using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using TestSupport;

namespace Gateway.Tests.Admin;

/// <summary>An answer of the admin API.</summary>
internal sealed record AdminAnswer(int Status, JsonElement? Body, HttpResponseMessage Message)
{
    public JsonElement Json => Body ?? throw new InvalidOperationException($"The answer {Status} has no body.");

    public string? ETag => Message.Headers.ETag?.ToString();

    public string? Text(params ReadOnlySpan<string> path)
    {
        var element = Json;
        foreach (var member in path)
        {
            element = element.GetProperty(member);
        }
        return element.ValueKind == JsonValueKind.String ? element.GetString() : element.GetRawText();
    }
}

/// <summary>Calls of the admin API.</summary>
internal static class AdminSession
{
    /// <summary>A gateway whose admin API may name this machine, where the fakes are.</summary>
    public static TestGatewayOptions Loopback { get; } = new() { Configuration = "egress: {allow: [127.0.0.1]}\n" };

    public static Task<AdminAnswer> AdminAsync(this TestGateway gateway, string method, string path, string? body = null, string? type = null, string? ifMatch = null, string? ifNoneMatch = null) =>
        SendAsync(gateway.AdminClient, method, path, body, type, ifMatch, ifNoneMatch);

    public static async Task<AdminAnswer> SendAsync(HttpClient client, string method, string path, string? body = null, string? type = null, string? ifMatch = null, string? ifNoneMatch = null)
    {
        using var request = new HttpRequestMessage(new HttpMethod(method), "/admin/v1" + path);
        if (body is not null)
        {
            request.Content = new StringContent(body, Encoding.UTF8);
            request.Content.Headers.ContentType = MediaTypeHeaderValue.Parse(type ?? (method == "PATCH" ? "application/merge-patch+json" : "application/json"));
        }
        if (ifMatch is not null)
        {
            request.Headers.TryAddWithoutValidation("If-Match", ifMatch);
        }
        if (ifNoneMatch is not null)
        {
            request.Headers.TryAddWithoutValidation("If-None-Match", ifNoneMatch);
        }
        var response = await client.SendAsync(request, TestContext.Current.CancellationToken);
        var text = await response.Content.ReadAsStringAsync(TestContext.Current.CancellationToken);
        return new AdminAnswer((int)response.StatusCode, text.Length == 0 || response.Content.Headers.ContentType?.MediaType == "application/gzip" ? null : JsonDocument.Parse(text).RootElement.Clone(), response);
    }

    /// <summary>Makes something and expects it to be taken.</summary>
    public static async Task<AdminAnswer> DeclareAsync(this TestGateway gateway, string method, string path, string body)
    {
        var answer = await gateway.AdminAsync(method, path, body);
        Assert.True(answer.Status is 200 or 201, $"{method} {path}: {answer.Status} {answer.Body}");
        return answer;
    }

    /// <summary>Expects an error.</summary>
    public static void AssertProblem(this AdminAnswer answer, int status, string code, string? field = null)
    {
        Assert.True(answer.Status == status, $"expected {status}: {answer.Status} {answer.Body}");
        Assert.Equal("application/problem+json", answer.Message.Content.Headers.ContentType?.MediaType);
        Assert.Equal(code, answer.Text("code"));
        if (field is not null)
        {
            Assert.Equal(field, answer.Text("field"));
        }
    }
}
